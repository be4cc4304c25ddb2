"""Data sets on disk, in RVT's layout: `EventSet` and `Recording` read, `DatasetWriter` writes."""

from fovea.events.dataset.reader import EventSet, Recording
from fovea.events.dataset.writer import DatasetWriter, Written, link_splits, write_recording

__all__ = [
    "DatasetWriter", "EventSet", "Recording", "Written", "link_splits", "write_recording",
]  # fmt: skip

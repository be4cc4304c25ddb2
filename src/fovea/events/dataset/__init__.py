"""Data sets on disk, in RVT's layout: `EventSet` and `Recording` read, `DatasetWriter` writes."""

from fovea.events.dataset.reader import EventSet, Recording

__all__ = ["EventSet", "Recording"]

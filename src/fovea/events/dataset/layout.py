"""Where things lie in a data set on disk, which is RVT's layout; written down in one place.

    ROOT/{train,val,test}/RECORDING/
        labels_v2/labels.npz                  `labels`, `objframe_idx_2_label_idx`
        labels_v2/timestamps_us.npy           of each objframe
        event_representations_v2/stacked_histogram_dt=50_nbins=10/
            event_representations.h5          full size, or
            event_representations_ds2_nearest.h5   half size
            objframe_idx_2_repr_idx.npy       the histogram that ends at each objframe
            timestamps_us.npy                 the END of each histogram
    ROOT/sensor.json                          ours; published data sets have none

An objframe is a labelled moment; a histogram covers the 50 ms before its time.
Source: Gehrig and Scaramuzza, "Recurrent Vision Transformers for Object Detection with Event
Cameras" (2023), the released data sets.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
BINS = 10
WINDOW_US = 50_000
"""What one histogram covers."""
HISTOGRAMS = f"stacked_histogram_dt={WINDOW_US // 1000}_nbins={BINS}"
FULL_SIZE = "event_representations.h5"
HALF_SIZE = "event_representations_ds2_nearest.h5"
IN_PROGRESS = "_in_progress"
"""What an unfinished file has before its suffix."""
HDF5_KEY = "data"
BLOSC = 32001
"""The number of the Blosc filter among HDF5's."""
BLOSC_OPTIONS = (0, 0, 0, 0, 1, 1, 5)
"""Level 1, shuffled bytes, zstd; the first four are the filter's to fill in."""
STORED_OPTIONS = (2, 2, 1, 0, 1, 1, 5)
"""The same as read back; the fourth is the size of a chunk in bytes."""


@dataclass(frozen=True)
class Layout:
    """The paths of one recording."""

    folder: Path

    @property
    def labels(self) -> Path:
        """All boxes, and where those of each objframe begin."""
        return self.folder / "labels_v2" / "labels.npz"

    @property
    def label_times(self) -> Path:
        """The time of each objframe; pseudo sets have none."""
        return self.folder / "labels_v2" / "timestamps_us.npy"

    @property
    def histogram_folder(self) -> Path:
        """What is known of the histograms."""
        return self.folder / "event_representations_v2" / HISTOGRAMS

    @property
    def objframe_to_histogram(self) -> Path:
        """The histogram that ends at each objframe."""
        return self.histogram_folder / "objframe_idx_2_repr_idx.npy"

    @property
    def times(self) -> Path:
        """The end of each histogram; pseudo sets have none."""
        return self.histogram_folder / "timestamps_us.npy"

    def histograms(self, *, is_halved: bool) -> Path:
        """The counts themselves."""
        return self.histogram_folder / (HALF_SIZE if is_halved else FULL_SIZE)

    @staticmethod
    def in_progress(path: Path) -> Path:
        """The name a file has until it is finished."""
        return path.with_name(f"{path.stem}{IN_PROGRESS}{path.suffix}")


def root_of(path: Path) -> Path:
    """The root of a data set, also where the folder of one of its splits is given."""
    has_splits = any((path / split).is_dir() for split in SPLITS)
    return path.parent if path.name in SPLITS and not has_splits else path

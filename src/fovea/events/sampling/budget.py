"""Label budgets: which labelled moments of a data set are visible.

Weakly supervised (WSOD), every recording keeps a few frames; semi-supervised (SSOD), a few
recordings keep all of theirs. What is hidden stays at hand, to measure pseudo labels by.

A published split of frames is a pickle {recording: (objframe, ...)}; the paper's code names it
`ssod_0.010-off0.pkl`, though it is the weakly supervised one.
"""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

import numpy as np

from fovea.errors import ConfigError, DataError
from fovea.events.dataset import Recording
from fovea.events.sampling.random_access import first_item
from fovea.events.settings.sampling import BudgetConfig

Item = TypeVar("Item")
Split = dict[str, tuple[int, ...]]
"""For each recording, by name, the labelled moments that are visible."""


@dataclass(frozen=True)
class Budget:
    """How many labels are visible, and which."""

    kind: Literal["all", "frames", "recordings"] = "all"
    ratio: float = 1.0
    offset: int = 0
    length: int = 21
    """Histograms up to the first kept frame of a recording, itself included."""
    split: Path | None = None
    """A published split, which then says it all."""

    def __post_init__(self) -> None:
        most = 0.5 if self.kind == "frames" and self.split is None else 1.0
        if self.kind != "all" and not 0 < self.ratio <= most:
            raise ConfigError(
                f"a budget of {self.kind} keeps a ratio above 0 and up to {most:g}, and ratio is"
                f" {self.ratio:g}. Use keep=all to keep all labels."
            )

    @classmethod
    def of(cls, settings: BudgetConfig) -> Budget:
        """The budget that settings describe."""
        return cls(settings.keep, settings.ratio, settings.offset, settings.length, settings.split)

    @property
    def split_name(self) -> str:
        """The file name that the paper's code gives this budget's frames."""
        return f"ssod_{self.ratio:.3f}-off{self.offset}.pkl"

    def visible(self, recordings: Sequence[Recording]) -> Split:
        """The visible labelled moments of each recording.

        Raises:
            DataError: labels to be hidden are pseudo labels, or the published split is of other
                recordings.
        """
        everything = {r.name: tuple(range(len(r.objframe_to_histogram))) for r in recordings}
        if self.kind == "all":
            return everything
        for recording in recordings:
            _refuse_pseudo(recording, self)
        if self.kind == "recordings":
            chosen = set(evenly(sorted(everything), self.ratio, offset=self.offset))
            return {name: kept if name in chosen else () for name, kept in everything.items()}
        if self.split is not None:
            return _matched(read_split(self.split), everything, self.split)
        return {
            r.name: kept_frames(
                len(r.objframe_to_histogram),
                self.ratio,
                start=first_item(r.objframe_to_histogram, self.length) or 0,
                offset=self.offset,
            )
            for r in recordings
        }


def kept_frames(n: int, ratio: float, *, start: int = 0, offset: int = 0) -> tuple[int, ...]:
    """Which of `n` labelled moments a weakly supervised budget keeps: one in round(1 / ratio).

    Args:
        n: labelled moments of the recording.
        ratio: to be kept.
        start: the first moment that random access reaches.
        offset: of this split, in moments.
    """
    kept = tuple(range(start + offset, n, round(1 / ratio)))
    return kept or ((n - 1,) if n else ())


def evenly(items: Sequence[Item], ratio: float, *, offset: int = 0) -> list[Item]:
    """Some of the items, evenly spread: of N the n = round(N ratio) at steps of N // n.

    At least one is taken. A ratio below 0 takes all, as in the paper's settings.

    Args:
        items: in order.
        ratio: to be taken.
        offset: of this split, in items.
    """
    if ratio < 0 or not items:
        return list(items)
    n = min(max(round(len(items) * ratio), 1), len(items))
    step = len(items) // n
    return list(items[offset % step :: step][:n])


# Published splits


def read_split(path: Path) -> Split:
    """Read a published split; nothing that the file might carry beside numbers is run.

    Raises:
        DataError: it is missing, damaged, or holds anything else.
    """
    try:
        found = _PlainUnpickler(io.BytesIO(path.read_bytes())).load()
    except FileNotFoundError as error:
        raise DataError(
            f"{path} is missing. Give a published split, or leave it out to choose frames by ratio."
        ) from error
    except (pickle.UnpicklingError, EOFError, ValueError, IndexError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} cannot be read as a split of frames: {error or 'it is cut short'}. Fetch it"
            " again, or leave it out to choose frames by ratio."
        ) from error
    if not _is_split(found):
        raise DataError(
            f"{path} should map names of recordings to tuples of frame numbers, and holds"
            f" {_described(found)}. Fetch it again, or leave it out to choose frames by ratio."
        )
    return dict(found)


def write_split(path: Path, split: Mapping[str, Sequence[int]]) -> None:
    """Write a split as the paper's code reads it; the file appears when it is complete."""
    plain = {str(name): tuple(int(frame) for frame in kept) for name, kept in split.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.write_bytes(pickle.dumps(plain, protocol=4))
    unfinished.replace(path)


class _PlainUnpickler(pickle.Unpickler):
    """Reads built-in containers, numbers and texts, and refuses to look up anything by name."""

    def find_class(self, module_name: str, global_name: str, /) -> NoReturn:
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}, a split does not")

    def persistent_load(self, pid: Any) -> NoReturn:
        raise pickle.UnpicklingError("it refers to another file, a split does not")


def _is_split(found: object) -> bool:
    return isinstance(found, dict) and all(
        isinstance(name, str) and isinstance(kept, tuple) and all(type(f) is int for f in kept)
        for name, kept in found.items()
    )


def _described(found: object) -> str:
    if not isinstance(found, dict):
        return type(found).__name__
    kinds = {f"{type(name).__name__}: {type(kept).__name__}" for name, kept in found.items()}
    return f"a dict of {', '.join(sorted(kinds))}"


def _matched(split: Split, everything: Split, path: Path) -> Split:
    """The part of a published split that is of these recordings."""
    missing = sorted(set(everything) - set(split))
    if missing:
        raise DataError(
            f"{path} names {len(split)} recordings, and not {missing[0]}, one of {len(missing)} of"
            f" the data set's {len(everything)} that it lacks. Take the split of this data set, or"
            " leave it out to choose frames by ratio."
        )
    for name, moments in everything.items():
        outside = [frame for frame in split[name] if not 0 <= frame < len(moments)]
        if outside:
            raise DataError(
                f"{path} keeps frame {outside[0]} of {name}, which has {len(moments)} labelled"
                " frames. Take the split of this data set, or leave it out to choose by ratio."
            )
    return {name: tuple(sorted(split[name])) for name in everything}


def _refuse_pseudo(recording: Recording, budget: Budget) -> None:
    """A budget hides ground truth; of pseudo labels nothing is to be hidden."""
    if np.any(recording.labels["t"] == 0):
        raise DataError(
            f"{recording.folder} has pseudo labels, of which a budget of {budget.kind} would hide"
            f" all but {budget.ratio:g}. Set budget.keep=all to train on what events.label made."
        )

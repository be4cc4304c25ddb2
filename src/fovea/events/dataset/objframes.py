"""Which labelled moments a data set keeps, and at which times its histograms end.

An objframe is a labelled moment that is kept. Histograms end at every objframe and between them: in
the published data sets two for each base step of the labels, whatever its length. Gen1, labelled
every 250 ms, therefore has a histogram of 50 ms every 125 ms; models trained on it expect that
cadence. `dense` instead puts the ends 50 ms apart, for newly trained models.

Notation: all times are whole microseconds; D is the base step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int64

from fovea.events.dataset.layout import WINDOW_US
from fovea.events.sensor import LabelRules

Cadence = Literal["paper", "dense"]
Times = Int64[np.ndarray, " n"]

FIRST_US = 100_000
"""No label before it is kept."""
TOLERANCE_US = 2_000
"""How far a label may be from a multiple of the base step."""
APART_US = 98_000
"""Two objframes are further apart than this."""
FRAME_US = 100_000
STEPS_AT_HZ = {60: 6, 30: 3}
"""Label periods in a base step, for the rates of the 1 Mpx set."""
HISTOGRAMS_A_STEP = FRAME_US // WINDOW_US


@dataclass(frozen=True)
class Schedule:
    """When the histograms of a recording end, and which of them are labelled."""

    objframes_us: Times
    histograms_us: Times
    """The END of each histogram, rising; the last one is that of the last objframe."""
    objframe_to_histogram: Times


def schedule(label_times_us: Times, rules: LabelRules, cadence: Cadence = "paper") -> Schedule:
    """Choose objframes among the times of labels, and lay histograms between them.

    Without a label from 100 ms on, the schedule is empty.
    """
    unique = np.unique(label_times_us).astype(np.int64)
    objframes, steps = chosen(unique, base_step_us(unique, rules))
    histograms = _histogram_ends(objframes, steps, cadence)
    return Schedule(objframes, histograms, np.searchsorted(histograms, objframes).astype(np.int64))


def base_step_us(unique_us: Times, rules: LabelRules) -> int:
    """D: the sensor's own, or about 100 ms in whole periods of the labels.

    The paper has two rates, 30 and 60 Hz; at others D is the shortest that is no less than 100 ms.
    """
    if rules.step_us is not None:
        return rules.step_us
    if len(unique_us) < 2:
        return FRAME_US
    period_us = float(np.median(np.diff(unique_us)))
    periods = STEPS_AT_HZ.get(round(1e6 / period_us))
    if periods is None:
        # A period that misses 100 ms by its jitter, less than 2%, still counts as 100 ms.
        periods = math.ceil(FRAME_US / period_us - TOLERANCE_US / FRAME_US)
    return int(max(periods, 1) * period_us)


def chosen(unique_us: Times, step_us: int) -> tuple[Times, list[int]]:
    """The objframes, and the base steps between each and the next.

    A time is kept when it lies whole steps after the one kept last, so jitter may add up.
    """
    kept: list[int] = []
    steps: list[int] = []
    for time in unique_us[unique_us >= FIRST_US].tolist():
        if not kept:
            kept.append(time)
            continue
        gap = time - kept[-1]
        count = round(gap / step_us)
        if count >= 1 and abs(gap - count * step_us) <= TOLERANCE_US and gap > APART_US:
            kept.append(time)
            steps.append(count)
    return np.array(kept, np.int64), steps


def _histogram_ends(objframes: Times, steps: list[int], cadence: Cadence) -> Times:
    if not len(objframes):
        return np.zeros(0, np.int64)
    first = int(objframes[0])
    # Back from the first objframe while above 0; the earliest goes, as its window may be cut.
    before = np.arange(first, 0, -WINDOW_US, dtype=np.int64)[1:-1][::-1]
    parts = [before, objframes[:1]]
    for start, end, count in zip(objframes[:-1], objframes[1:], steps, strict=True):
        paper = HISTOGRAMS_A_STEP * count
        parts_in_gap = paper if cadence == "paper" else max(1, round((end - start) / WINDOW_US))
        parts.append(np.linspace(start, end, parts_in_gap + 1).astype(np.int64)[1:])
    return np.concatenate(parts)

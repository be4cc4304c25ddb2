"""Is the difference between two runs real? The paired bootstrap over questions.

Both runs answered the same questions. Questions are drawn again, with replacement, many times; each
draw gives a difference of means. Where nearly all draws agree on its sign, another set of questions
of the same kind would very likely have agreed as well. Runs of several seeds are averaged question
by question first, so that luck of the seed is not taken for luck of the question.

Source: Efron and Tibshirani, "An introduction to the bootstrap" (1993), percentile intervals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from fovea.errors import DataError

BLOCK = 1 << 22
"""Drawn questions held at once."""


@dataclass(frozen=True)
class Difference:
    """What B has over A, on the same questions."""

    mean: float
    low: float
    """Lower end of the interval."""
    high: float
    p: float
    """Share of draws on the other side of zero, doubled: two-sided."""
    questions: int
    draws: int
    confidence: float

    @property
    def is_real(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0

    def sentence(self) -> str:
        """`+3.1 points, 95% interval +0.4 to +5.9, p = 0.02: real.`."""
        verdict = "real" if self.is_real else "not to be told from chance"
        return (
            f"{100 * self.mean:+.1f} points, {self.confidence:.0%} interval {100 * self.low:+.1f} "
            f"to {100 * self.high:+.1f}, p = {self.p:.2g}, over {self.questions} questions: "
            f"{verdict}."
        )


def paired_bootstrap(
    a: Float64[np.ndarray, "*seeds questions"],
    b: Float64[np.ndarray, "*seeds questions"],
    rng: np.random.Generator,
    *,
    draws: int = 10_000,
    confidence: float = 0.95,
) -> Difference:
    """How much better B is than A, and how sure that is.

    Args:
        a: score of each question in [0, 1]; with several seeds, a row a seed.
        b: the same questions in the same order; seeds may differ in number.
        rng: draws the questions.
        draws: sets of questions drawn.
        confidence: of the interval.

    Raises:
        DataError: the runs answered different numbers of questions, or none.
    """
    first, second = _by_question(a), _by_question(b)
    if first.shape != second.shape or not first.size:
        raise DataError(
            f"two runs are compared on the same questions; found {first.size} and {second.size}. "
            "Evaluate both on one set."
        )
    gains = second - first
    means = np.concatenate([_means(gains, count, rng) for count in _blocks(gains.size, draws)])
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    against = min(np.mean(means <= 0), np.mean(means >= 0))
    return Difference(
        mean=float(gains.mean()),
        low=float(low),
        high=float(high),
        p=float(min(1.0, 2 * max(against, 1 / (draws + 1)))),
        questions=gains.size,
        draws=draws,
        confidence=confidence,
    )


def _by_question(scores: np.ndarray) -> Float64[np.ndarray, " questions"]:
    scores = np.asarray(scores, dtype=np.float64)
    return scores if scores.ndim == 1 else scores.mean(axis=0)


def _blocks(questions: int, draws: int) -> list[int]:
    most = max(1, BLOCK // questions)
    return [min(most, draws - start) for start in range(0, draws, most)]


def _means(
    gains: Float64[np.ndarray, " questions"], count: int, rng: np.random.Generator
) -> Float64[np.ndarray, " draws"]:
    drawn = rng.integers(0, gains.size, (count, gains.size), dtype=np.int32)
    return gains[drawn].mean(axis=1)

"""Covariances of many Gaussians into scales and rotations, and through affine maps; NumPy alone.

The work is done by compiled loops in float64, in closed form (`kernels/covariance.py`), and is
shared among the processors. It is the same for any number of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float32

from fovea.errors import DataError
from fovea.scene.raster.compiled import kernels

MOST_THREADS = 16


class Shapes(NamedTuple):
    """Where Gaussians are and how they lie.

    Attributes:
        means: centres.
        quats: unit quaternions, wxyz, w not negative.
        scales: standard deviations, descending.
    """

    means: Float32[np.ndarray, "N 3"]
    quats: Float32[np.ndarray, "N 4"]
    scales: Float32[np.ndarray, "N 3"]


def mapped(
    means: Float[np.ndarray, "N 3"],
    quats: Float[np.ndarray, "N 4"],
    scales: Float[np.ndarray, "N 3"],
    affine: Float[np.ndarray, "3 4"],
    *,
    threads: int | None = None,
) -> Shapes:
    """Gaussians through an affine map; their covariances are rounded to float32 on the way.

    Args:
        means: centres.
        quats: rotations, wxyz, of any length; the zero one turns nothing.
        scales: standard deviations along their axes.
        affine: the map, its last column the offset.
        threads: how many share the work; as many as there are processors by default.

    Raises:
        DataError: the arrays do not agree in shape.
    """
    count = len(means)
    wanted = ((count, 3), (count, 4), (count, 3), (3, 4))
    found = tuple(np.shape(values) for values in (means, quats, scales, affine))
    if found != wanted:
        raise DataError(
            f"means, quats, scales and affine need the shapes {wanted}; got {found}. Give one row "
            "for each Gaussian."
        )
    rows = [np.ascontiguousarray(values, dtype=np.float32) for values in (means, quats, scales)]
    made = Shapes(*(np.empty((count, columns), np.float32) for columns in (3, 4, 3)))
    kernel: Any = kernels("covariance", package="fovea.scene").transform
    table = np.ascontiguousarray(affine, dtype=np.float64)
    share(lambda part, parts: kernel(part, parts, *rows, table, *made), threads)
    return made


def decomposed(
    covariances: Float[np.ndarray, "N 6"], *, threads: int | None = None
) -> tuple[Float32[np.ndarray, "N 4"], Float32[np.ndarray, "N 3"]]:
    """Unit quaternions, wxyz, and descending scales of covariances xx xy xz yy yz zz."""
    table = np.ascontiguousarray(covariances, dtype=np.float64)
    quats, scales = (np.empty((len(table), columns), np.float32) for columns in (4, 3))
    kernel: Any = kernels("covariance", package="fovea.scene").decompose
    share(lambda part, parts: kernel(part, parts, table, quats, scales), threads)
    return quats, scales


def share(work: Callable[[int, int], None], threads: int | None = None) -> None:
    """Call `work(part, parts)` for every part, each in a thread of its own."""
    parts = threads or min(MOST_THREADS, os.cpu_count() or 1)
    if parts == 1:
        work(0, 1)
        return
    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(lambda part: work(part, parts), range(parts)))

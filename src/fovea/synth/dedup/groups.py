"""Groups of rows from pairs of them, and near pairs of 64-bit hashes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Int64, UInt64


def roots_of(count: int, pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> Int64[np.ndarray, " n"]:
    """For each row the first row of its group; those of a pair are in one, and so on."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones = [(np.zeros(0, np.int64), np.zeros(0, np.int64)), *pairs]
    left = np.concatenate([pair[0] for pair in ones])
    right = np.concatenate([pair[1] for pair in ones])
    graph = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    first = np.full(int(labels.max(initial=-1)) + 1, count, np.int64)
    np.minimum.at(first, labels, np.arange(count))
    return first[labels]


def equal_pairs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each row with the next one of the same value."""
    order = np.argsort(values, kind="stable")
    same = np.flatnonzero(values[order][1:] == values[order][:-1])
    return order[same], order[same + 1]


def near_pairs(
    hashes: UInt64[np.ndarray, " n"], distance: int
) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Pairs of rows whose hashes differ in at most so many bits.

    Of `distance + 1` blocks of bits one is equal in each such pair: rows are sorted by each block
    in turn and compared with those beside them.
    """
    distinct, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    yield np.arange(len(hashes)), first[inverse]
    if distance <= 0:
        return
    bounds = [64 * number // (distance + 1) for number in range(distance + 2)]
    for low, high in itertools.pairwise(bounds):
        mask = np.uint64(((1 << (high - low)) - 1) << low)
        block = distinct & mask
        order = np.argsort(block, kind="stable")
        block, values, places = block[order], distinct[order], first[order]
        offset = 1
        while offset < len(block):
            beside = np.flatnonzero(block[offset:] == block[:-offset])
            if not len(beside):
                break
            apart = np.bitwise_count(values[beside] ^ values[beside + offset])
            near = beside[apart <= distance]
            yield places[near], places[near + offset]
            offset += 1

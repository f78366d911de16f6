"""Parts of labelled examples in which every class has its share."""

from collections.abc import Sequence

import numpy as np

__all__ = ["held_out_rows"]


def held_out_rows(labels: Sequence[str], fold: int = 0, folds: int = 10) -> set[int]:
    """One of so many folds, the same whenever asked; a class of fewer examples than folds gives one.

    >>> sorted(held_out_rows(["a", "b"] * 20, 0, 10)) == sorted(held_out_rows(["a", "b"] * 20, 10, 10))
    True
    """
    shuffled = np.random.default_rng(0).permutation(len(labels))
    held: set[int] = set()
    for label in sorted(set(labels)):
        rows = [int(row) for row in shuffled if labels[row] == label]
        held.update(rows[fold % min(folds, len(rows)) :: min(folds, len(rows))])
    return held

"""Ragged rows in batches of similar sizes, so that little is padded; all of them are lists of the rows' indices."""

from collections.abc import Iterable, Sequence

import torch

__all__ = ["bucketed", "by_size", "by_size_within", "pooled"]


def by_size(sizes: Sequence[int], rows: int) -> list[list[int]]:
    """The smallest first, so many rows a batch.

    >>> by_size([5, 1, 3, 1], 3)
    [[1, 3, 2], [0]]
    """
    order = sorted(range(len(sizes)), key=sizes.__getitem__)
    return [order[start : start + rows] for start in range(0, len(order), rows)]


def by_size_within(sizes: Sequence[int], most: int) -> list[list[int]]:
    """The smallest first, as many rows a batch as have ``most`` steps with their padding.

    A longer row is a batch of its own.

    >>> by_size_within([5, 1, 3, 1], 6)
    [[1, 3], [2], [0]]
    """
    return _cut(sorted(range(len(sizes)), key=sizes.__getitem__), sizes, most)


def bucketed(sizes: Sequence[int], most: int, generator: torch.Generator, jitter: float = 0.0) -> list[list[int]]:
    """The batches of `by_size_within` in random order, and rows of one size too.

    Args:
        sizes: steps of each row.
        most: steps of a batch with its padding; a longer row is a batch of its own.
        jitter: share by which a size may seem larger than it is, so that other rows meet at every epoch.
    """
    noise = torch.rand(len(sizes), generator=generator).tolist()
    order = sorted(range(len(sizes)), key=lambda i: (sizes[i] * (1 + jitter * noise[i]), noise[i]))
    batches = _cut(order, sizes, most)
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def pooled(sizes: Sequence[int], rows: int, pool: int, generator: torch.Generator) -> list[list[int]]:
    """Batches of so many rows in random order, of sizes that are similar within a pool of so many random batches."""
    lengths = torch.tensor(sizes)
    order = torch.randperm(len(lengths), generator=generator)
    pools = torch.split(order, pool * rows)
    batches = []
    for group in pools:
        by_length = group[torch.argsort(lengths[group])]
        batches += [batch.tolist() for batch in torch.split(by_length, rows)]
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def _cut(order: Iterable[int], sizes: Sequence[int], most: int) -> list[list[int]]:
    """Rows in the order given, cut where a batch and its padding would have more than ``most`` steps."""
    batches: list[list[int]] = []
    longest = 0
    for index in order:
        longest = max(longest, sizes[index])
        if not batches or (len(batches[-1]) + 1) * longest > most:
            batches.append([])
            longest = sizes[index]
        batches[-1].append(index)
    return batches

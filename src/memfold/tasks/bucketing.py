"""Ragged rows in batches of similar sizes, so that little is padded."""

from collections.abc import Sequence

import torch

__all__ = ["bucketed"]


def bucketed(sizes: Sequence[int], most: int, generator: torch.Generator, jitter: float = 0.0) -> list[list[int]]:
    """Indices in random batches of similar sizes.

    Args:
        sizes: steps of each row.
        most: steps of a batch with its padding; a longer row is a batch of its own.
        jitter: share by which a size may seem larger than it is, so that other rows meet at every epoch.
    """
    noise = torch.rand(len(sizes), generator=generator).tolist()
    batches: list[list[int]] = [[]]
    longest = 0
    for index in sorted(range(len(sizes)), key=lambda i: (sizes[i] * (1 + jitter * noise[i]), noise[i])):
        longest = max(longest, sizes[index])
        if batches[-1] and (len(batches[-1]) + 1) * longest > most:
            batches.append([])
            longest = sizes[index]
        batches[-1].append(index)
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]

"""Batches of similar sizes."""

import pytest
import torch

from memfold.tasks.bucketing import bucketed


@pytest.mark.parametrize("jitter", [0.0, 0.2])
def test_every_row_is_in_one_batch_and_no_batch_is_too_long(jitter: float) -> None:
    sizes = [2 + i * 7 % 23 for i in range(100)]
    first, again, other = (bucketed(sizes, 60, torch.Generator().manual_seed(seed), jitter) for seed in (0, 0, 1))
    assert sorted(i for batch in first for i in batch) == list(range(100))
    assert all(len(batch) * max(sizes[i] for i in batch) <= 60 for batch in first)
    assert len(first) < 1.4 * sum(sizes) / 60
    assert first == again != other


def test_a_row_that_is_too_long_is_alone() -> None:
    assert sorted(map(sorted, bucketed([2, 2, 90], 60, torch.Generator()))) == [[0, 1], [2]]

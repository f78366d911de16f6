"""Batches of similar sizes."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from memfold.tasks.bucketing import bucketed, by_size, by_size_within, pooled


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


@given(st.lists(st.integers(0, 50)), st.integers(1, 9))
def test_by_size_every_row_comes_once_and_none_before_a_smaller_one(sizes: list[int], rows: int) -> None:
    batches = by_size(sizes, rows)
    order = [i for batch in batches for i in batch]
    assert order == sorted(range(len(sizes)), key=lambda i: (sizes[i], i))
    assert all(len(batch) == rows for batch in batches[:-1])


@given(st.lists(st.integers(0, 50)), st.integers(1, 90))
def test_within_a_bound_batches_are_as_large_as_it_allows(sizes: list[int], most: int) -> None:
    batches = by_size_within(sizes, most)
    assert [i for batch in batches for i in batch] == [i for batch in by_size(sizes, 1) for i in batch]
    for batch, following in pairwise(batches):
        assert len(batch) == 1 or len(batch) * max(sizes[i] for i in batch) <= most
        assert (len(batch) + 1) * sizes[following[0]] > most


def test_pools_hold_similar_sizes_in_an_order_that_the_generator_draws() -> None:
    sizes = [1 + i * 7 % 23 for i in range(100)]
    first, again, other = (pooled(sizes, 5, 4, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert sorted(i for batch in first for i in batch) == list(range(100))
    assert [len(batch) for batch in first] == [5] * 20
    assert first == again != other
    spread = [max(sizes[i] for i in batch) - min(sizes[i] for i in batch) for batch in first]
    assert sum(spread) / 20 < 8  # of 5 at random: 15

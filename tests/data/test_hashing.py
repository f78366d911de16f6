"""A hash of data: the same for the same, another for anything else."""

import subprocess
import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from memfold.data.hashing import digest

SIMPLE = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
NESTED = st.recursive(
    SIMPLE, lambda own: st.lists(own, max_size=3) | st.dictionaries(st.text(max_size=2), own, max_size=3), max_leaves=8
)


@dataclass(frozen=True)
class Texts:
    texts: list[str]
    rows: np.ndarray


@dataclass(frozen=True)
class Other:
    texts: list[str]
    rows: np.ndarray


def marked(value: Any) -> Any:
    """A value that equals another marked one only if kinds and contents are the same: 1, 1.0 and True are not."""
    if isinstance(value, list):
        return ["list", *map(marked, value)]
    if isinstance(value, dict):
        return ["dict", *sorted((key, marked(own)) for key, own in value.items())]
    return [type(value).__name__, repr(value)]


@given(NESTED, NESTED)
def test_different_values_have_different_hashes(first: Any, second: Any) -> None:
    assert (digest(first) == digest(second)) == (marked(first) == marked(second))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("ab", "c"), ("a", "bc")),
        ((["a"], ["b"]), (["a", "b"], [])),
        ((["a", "b"],), ("a", "b")),
        (("1",), (1,)),
        ((b"a",), ("a",)),
        (("s1:a",), ("a",)),
        ((np.zeros((2, 3)),), (np.zeros((3, 2)),)),
        ((np.zeros(2, np.float32),), (np.zeros(1, np.float64),)),
        ((np.arange(4), np.arange(2)), (np.arange(2), np.arange(4))),
        ((Texts([], np.zeros(1)),), (Other([], np.zeros(1)),)),
        ((Texts(["a"], np.zeros(1)),), (Texts(["b"], np.zeros(1)),)),
    ],
)
def test_nothing_moves_from_one_value_to_the_next_unseen(first: tuple[Any, ...], second: tuple[Any, ...]) -> None:
    assert digest(*first) != digest(*second)


def test_what_holds_the_same_has_the_same_hash() -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert digest(array) == digest(torch.from_numpy(array)) == digest(np.asfortranarray(array))
    assert digest(array.T) == digest(torch.from_numpy(array).T) != digest(array)
    assert digest(torch.from_numpy(array).requires_grad_()) == digest(array)
    assert digest(["a", 1]) == digest(("a", 1))
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    texts = Texts(["a"], array)
    assert digest(texts) == digest(replace(texts, rows=array.copy()))


def test_a_hash_does_not_change_from_one_version_to_the_next() -> None:
    """Or a training that was interrupted could not be resumed."""
    found = digest("text", 1, 2.5, None, np.arange(3, dtype="<i8"), {"a": [b"x"]})
    assert found == "098f6c12262502d7feb2cf8fbd709bc8ac0ed69bc6e739d71523b3b5ce7891cf"


@pytest.mark.parametrize("value", [{1, 2}, object(), Texts, np.array([object()]), {1: 2, "a": 3}])
def test_what_has_no_certain_content_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        digest(value)


def test_it_takes_no_torch() -> None:
    code = "import sys, memfold.data.hashing as own; own.digest('a'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

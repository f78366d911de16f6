"""Labels as numbers."""

import numpy as np
import pytest

from memfold.data.labels import numbers_of
from memfold.errors import InputError


def test_a_label_becomes_its_place_among_the_classes() -> None:
    found = numbers_of(["low", "high", "low"], ["high", "low"], "a.csv")
    assert found.dtype == np.int64
    assert found.tolist() == [1, 0, 1]
    assert numbers_of([], ["a"], "a.csv").shape == (0,)


def test_labels_that_were_not_trained_on_are_all_named() -> None:
    known = ["bad", "good"]
    with pytest.raises(InputError, match=r"a\.csv: the label 'odd' was not trained on; the model knows bad, good"):
        numbers_of(["good", "odd", "odd"], known, "a.csv", "label")
    with pytest.raises(InputError, match=r"the people 'fair', 'odd' were not trained on; the model knows bad, good"):
        numbers_of(["good", "odd", "fair"], known, "a.csv", "person")
    with pytest.raises(InputError, match=r"'c19' and 5 more were not trained on"):
        numbers_of([f"c{k:02}" for k in range(25)], known, "a.csv")

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


def test_all_labels_that_were_not_trained_on_are_named() -> None:
    with pytest.raises(InputError, match=r"a\.csv: the label 'fair' was not trained on; the model knows bad, good"):
        numbers_of(["good", "fair", "fair"], ["bad", "good"], "a.csv", "label")
    every = r"the labels 'fair' \(2 times\), 'odd' \(1 time\) were not trained on"
    with pytest.raises(InputError, match=every):
        numbers_of(["fair", "good", "odd", "fair"], ["bad", "good"], "a.csv", "label")

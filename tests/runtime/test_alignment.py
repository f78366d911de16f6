"""When characters and words were heard, against every path that spells them."""

from itertools import product

import numpy as np
import pytest

from memfold.runtime.hearing.alignment import aligned, words_in_time
from memfold.runtime.hearing.search import Alphabet


def spelled(path: tuple[int, ...]) -> list[int]:
    """The labels of a path: repetitions merged, blanks left out."""
    return [label for before, label in zip((0, *path), path, strict=False) if label and label != before]


@pytest.mark.parametrize("labels", [[1], [1, 2], [1, 1], [2, 1, 2]])
def test_the_path_is_the_likeliest_of_all_that_spell_the_labels(labels: list[int]) -> None:
    rng = np.random.default_rng(len(labels))
    for _ in range(5):
        y = np.log(rng.dirichlet([0.5, 0.5, 0.5], 5))
        paths = [path for path in product(range(3), repeat=5) if spelled(path) == labels]
        best = max(paths, key=lambda path: sum(y[step, label] for step, label in enumerate(path)))
        expected, at = [], 0
        for label in labels:
            begin = next(step for step in range(at, 5) if best[step] == label)
            at = next((step for step in range(begin, 5) if best[step] != label), 5)
            expected.append(range(begin, at))
        assert aligned(y, labels) == expected


def test_what_has_no_room_has_no_times() -> None:
    y = np.log(np.full((3, 3), 1 / 3))
    assert aligned(y, [1, 1]) == [range(0, 1), range(2, 3)]
    assert aligned(y, [1, 1, 2]) == []
    assert aligned(y, []) == []


def test_words_are_parted_by_spaces_and_characters_of_unspaced_scripts_stand_alone() -> None:
    alphabet = Alphabet("ab c好的")
    text = "ab c好的!"
    labels = alphabet.encode(text)
    y = np.full((2 * len(labels), 1 + len(alphabet.characters)), -9.0)
    for place, label in enumerate(labels):
        y[2 * place, label] = 0.0
        y[2 * place + 1, 0] = 0.0
    words = words_in_time(text, alphabet, y)
    assert [(word.text, word.begin, word.end) for word in words] == [
        ("ab", 0, 3),
        ("c", 6, 7),
        ("好", 8, 9),
        ("的", 10, 11),
    ]
    assert [list(word.places) for word in words] == [[0, 1], [3], [4], [5]]

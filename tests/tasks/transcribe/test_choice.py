"""How much the language model counts: as much as it helps, on texts that it has not seen."""

import numpy as np
import pytest

from memfold.runtime.hearing.search import Alphabet
from memfold.tasks.transcribe.choice import NO_LANGUAGE, Heard, chosen_weights

ALPHABET = Alphabet("ab")


def heard_as(labels: list[int], rng: np.random.Generator, unsure: float) -> np.ndarray:
    """Log-probabilities of a recogniser that for some characters does not know which of the two it was."""
    rows = []
    for label in labels:
        p = np.full(3, 0.02)
        p[label], p[3 - label] = rng.permutation([0.5, 0.46]) if rng.random() < unsure else (0.9, 0.06)
        rows += [p / p.sum(), np.array([0.96, 0.02, 0.02])]
    return np.log(np.array(rows)).astype(np.float32)


@pytest.mark.parametrize("own", [False, True])
def test_a_model_of_texts_with_a_pattern_counts_and_one_of_random_texts_does_not(own: bool) -> None:
    rng = np.random.default_rng(0)
    pattern = [[1, 2] * int(rng.integers(2, 6)) for _ in range(60)]
    noise = [rng.integers(1, 3, int(rng.integers(4, 12))).tolist() for _ in range(60)]
    chosen = []
    for texts in (pattern, noise):
        labels = texts[:20]
        heard = Heard([heard_as(text, rng, 0.3) for text in labels], labels, own)
        (language, _), rate = chosen_weights([heard], texts if own else texts[20:], ALPHABET, 50, iter)
        chosen.append(language)
        assert rate < 0.2
    assert chosen[0] > 0
    assert chosen[1] == 0


def test_what_saves_no_more_than_chance_is_not_chosen() -> None:
    labels = [[1, 2, 1, 2]] * 5
    heard = Heard([heard_as(text, np.random.default_rng(1), 0.0) for text in labels], labels, included=False)
    assert chosen_weights([heard], labels, ALPHABET, 50, iter) == (NO_LANGUAGE, 0.0)

"""From log-probabilities to text, against counting every path."""

import itertools
import math

import numpy as np
import pytest

from memfold.runtime.hearing.search import Alphabet, CharacterModel, PrefixBeam, SearchWeights, Transcript, greedy

LABELS = 2
PLAIN = SearchWeights(beam=1000, language=0.0, bonus=0.0)


def log_probabilities(steps, seed):
    y = np.random.default_rng(seed).standard_normal((steps, 1 + LABELS))
    return y - np.log(np.exp(y).sum(1, keepdims=True))


def collapsed(path):
    merged = [label for label, _ in itertools.groupby(path)]
    return tuple(label for label in merged if label)


def by_counting(y):
    """The log-probability of every text, from all paths."""
    found = {}
    for path in itertools.product(range(1 + LABELS), repeat=len(y)):
        text = collapsed(path)
        found[text] = np.logaddexp(found.get(text, -np.inf), sum(y[t, label] for t, label in enumerate(path)))
    return found


@pytest.mark.parametrize("seed", range(8))
def test_the_beam_has_every_path_of_every_text(seed):
    y = log_probabilities(6, seed)
    beam = PrefixBeam(PLAIN, None)
    for row in y.tolist():
        beam.step(row)
    expected = by_counting(y)
    for text, parts in beam.ending.items():
        assert np.logaddexp(*parts) == pytest.approx(expected[text], abs=1e-9)
    assert beam.best() == max(expected, key=expected.get)


@pytest.mark.parametrize("seed", range(4))
def test_a_character_model_weighs_as_its_formula_says(seed):
    y = log_probabilities(5, seed)
    model = CharacterModel([[1, 2], [1, 2, 1, 2], [2]], LABELS)
    weights = SearchWeights(beam=1000, language=0.7, bonus=0.3)
    beam = PrefixBeam(weights, model)
    for row in y.tolist():
        beam.step(row)

    def score(text, heard):
        language = sum(model.after(text[:k])[label] for k, label in enumerate(text)) + model.after(text)[0]
        return heard + 0.7 * language + 0.3 * len(text)

    expected = by_counting(y)
    assert beam.best(ended=True) == max(expected, key=lambda text: score(text, expected[text]))


def test_what_follows_adds_up_to_1():
    model = CharacterModel([[1, 1, 2], [2, 1]], LABELS)
    for prefix in [(), (1,), (2, 2, 2), (1, 1, 2, 1, 2, 2, 1, 1, 1)]:
        assert sum(map(math.exp, model.after(prefix))) == pytest.approx(1)


def test_greedy_merges_what_repeats_and_leaves_blanks_out():
    path = [0, 1, 1, 0, 1, 2, 2, 0]
    assert greedy(np.eye(3, dtype=np.float32)[path]) == [1, 1, 2]
    assert greedy(np.zeros((0, 3), np.float32)) == []


def test_a_pause_ends_a_segment_and_the_whole_text_has_all_of_them():
    alphabet = Alphabet("ab")
    y = np.log(np.full((12, 3), 1e-6))
    y[np.arange(12), [1, 0, 2, 0, 0, 0, 0, 0, 2, 0, 0, 0]] = 0
    transcript = Transcript(alphabet, PLAIN, None, pause=3)
    ended = [(t, own) for t, row in enumerate(y) if (own := transcript.step(row))]
    assert [(t, own.first, own.last, own.text) for t, own in ended] == [(5, 0, 2, "ab"), (11, 8, 8, "b")]
    assert transcript.finish() is None
    assert Transcript(alphabet, PLAIN, None, pause=3).whole(y) == "ab b"
    assert Transcript(alphabet, PLAIN, None, pause=99).whole(y) == "abb"


def test_what_is_likelier_nothing_at_every_step_has_no_text_whatever_the_bonus():
    y = np.log(np.tile([0.6, 0.3, 0.1], (6, 1))).astype(np.float32)
    weights = SearchWeights(beam=8, language=0.0, bonus=3.0)
    assert Transcript(Alphabet("ab"), weights, None, 10).whole(y) == ""
    y[3] = np.log([0.3, 0.6, 0.1])
    assert "a" in Transcript(Alphabet("ab"), weights, None, 10).whole(y)

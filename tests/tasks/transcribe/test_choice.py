"""How much the language model counts: as much as it helps, on texts that it has not seen."""

import numpy as np
import pytest

from memfold.runtime.hearing.search import Alphabet
from memfold.runtime.hearing.transcribing import TranscribeSettings
from memfold.tasks.transcribe.choice import NO_LANGUAGE, Heard, chosen_weights

ALPHABET = Alphabet("ab")


def whole(steps: int) -> int:
    """A pause that no recording of so many steps has."""
    return 1 + steps


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
        (language, _), rate = chosen_weights([heard], texts if own else texts[20:], ALPHABET, whole, iter)
        chosen.append(language)
        assert rate < 0.2
    assert chosen[0] > 0
    assert chosen[1] == 0


def test_what_saves_no_more_than_chance_is_not_chosen() -> None:
    labels = [[1, 2, 1, 2]] * 5
    heard = Heard([heard_as(text, np.random.default_rng(1), 0.0) for text in labels], labels, included=False)
    assert chosen_weights([heard], labels, ALPHABET, whole, iter) == (NO_LANGUAGE, 0.0)


def test_what_is_chosen_on_is_cut_at_pauses_as_recordings_of_its_length_are() -> None:
    rng = np.random.default_rng(2)
    labels = [[1, 2, 1], [2, 1, 2, 2]]
    log_ps = [heard_as(text, rng, 0.0) for text in labels]
    asked: list[int] = []

    def pause(steps: int) -> int:
        asked.append(steps)
        return whole(steps)

    _, rate = chosen_weights([Heard(log_ps, labels, included=False)], labels, ALPHABET, pause, iter)
    assert set(asked) == {len(log_p) for log_p in log_ps}
    assert rate == 0  # cut at every step without a character the text would have spaces
    _, rate = chosen_weights([Heard(log_ps, labels, included=False)], labels, ALPHABET, lambda steps: 1, iter)
    assert rate > 0


@pytest.mark.parametrize(
    ("causal", "steps", "expected"),
    [
        (False, 100, 101),  # of a short recording no pause ends a segment
        (False, 10_000, 20),  # of a long one a second
        (False, None, 20),
        (True, 100, 20),
        (True, None, 20),
    ],
)
def test_a_pause_ends_a_segment_but_of_short_recordings(causal: bool, steps: int | None, expected: int) -> None:
    settings = TranscribeSettings(
        ALPHABET,
        0.0,
        0.0,
        rate=8000,
        bins=40,
        stacked=5,
        hidden_size=8,
        num_layers=1,
        beam=4,
        pause=1.0,
        causal=causal,
        longest=6.0,
    )
    assert settings.pause_steps(steps) == expected

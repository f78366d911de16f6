"""Recordings and their texts."""

from pathlib import Path

import pytest

from memfold.data.speech import Utterances
from memfold.errors import InputError


def utterances(texts):
    return Utterances("some", [Path(f"{k}.wav") for k in range(len(texts))], texts)


def test_what_is_held_out_is_said_nowhere_else():
    whole = utterances([f"text {k % 90}" for k in range(200)])
    rest, held = whole.split()
    assert 10 <= len(held) < 20
    assert len(rest) + len(held) == 200
    assert not set(rest.texts) & set(held.texts)
    assert sorted(rest.audio + held.audio) == sorted(whole.audio)
    assert whole.split() == (rest, held)


@pytest.mark.parametrize("texts", [["yes", "no"] * 30, ["yes"] * 10 + [f"text {k}" for k in range(90)], ["a", "b"]])
def test_where_a_text_is_common_texts_are_shared(texts):
    rest, held = utterances(texts).split()
    assert len(held) == -(-len(texts) // 20)
    assert len(rest) + len(held) == len(texts)


def test_one_recording_is_too_few():
    with pytest.raises(InputError, match="holds 1 recording"):
        utterances(["a"]).split()

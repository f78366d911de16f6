"""Recordings that are there twice."""

from pathlib import Path

import numpy as np
import pytest

from memfold.data.recording_copies import content_keys, frame_keys, say_copies, say_trained_on, without_copies


def test_files_have_one_key_where_their_contents_are_the_same(tmp_path: Path) -> None:
    middle = bytes(10_000)
    contents = [b"a" + middle, b"b" + middle, b"a" + middle, b"a" + middle[:-1], b"", b""]
    paths = [tmp_path / f"{k}.wav" for k in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    keys = content_keys([*paths, tmp_path / "gone.wav", Path("a\0b")])
    for first in range(len(keys)):
        for second in range(first):
            assert (keys[first] == keys[second]) == ((second, first) == (0, 2)), (first, second)


def test_frames_have_one_key_where_the_sound_is_the_same_and_silence_has_none() -> None:
    loud = np.arange(12, dtype=np.float16).reshape(4, 3)
    first, second, third, silent = frame_keys([loud, loud.copy(), loud + 1, np.full((4, 3), -16, np.float16)])
    assert first == second != third
    assert silent == ""


@pytest.mark.parametrize(
    ("held", "keys", "expected"),
    [
        ({0, 1}, "abbc", {0}),
        ({0, 1}, "abcc", {0, 1}),
        ({0}, "aabc", {0, 1}),
        ({0}, "aab", {0}),
        ({0}, ["", "b", ""], {0}),
    ],
)
def test_copies_are_on_one_side_of_a_split(held: set[int], keys: str, expected: set[int]) -> None:
    assert without_copies(held, keys) == expected


def test_copies_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    paths = [Path(name) for name in "abcde"]
    say_copies(paths, ["x", "y", "x", "", ""])
    assert capsys.readouterr().err.startswith(
        "2 of 5 recordings (a, c) are copies of each other; they stay on one side"
    )
    say_trained_on(paths, ["x", "y", "z", "x", ""], {"x", ""})
    assert capsys.readouterr().err.startswith("warning: 2 of 5 recordings (a, d) were trained on")
    say_copies(paths, list("12345"))
    say_trained_on(paths, list("12345"), set())
    assert capsys.readouterr().err == ""

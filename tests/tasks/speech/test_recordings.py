"""Which files are meant, and those among them that cannot be read."""

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

from memfold.errors import InputError
from memfold.tasks.speech.recordings import inputs_of, labelled_files, read_sounds

RATE = 8000


def sources(data):
    return inputs_of(data, RATE).sources


@pytest.fixture
def folder(tmp_path):
    for name in ("a.wav", "b.wav", "sub/c.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, np.zeros(400), RATE)
    return tmp_path


def test_one_path_or_several_and_folders_name_files(folder):
    files = [folder / "a.wav", folder / "b.wav", folder / "sub" / "c.wav"]
    assert sources(folder) == sources(str(folder)) == files
    assert sources(np.array([str(file) for file in files])) == files
    assert sources([folder / "sub", str(folder / "a.wav")]) == [files[2], files[0]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "no recordings are given"),
        (5, "expected the path of a recording, .*got 5"),
        ([0.1, 0.2], "expected the path of a recording, or its samples as an array or .array, rate., got 0.1"),
        ("gone.wav", "gone.wav: no such file or folder"),
        ("a\0.wav", "no such file or folder"),
        ("n" * 5000, "no such file or folder"),
        (np.zeros((2, 16000)), r"an array of shape \(2, 16000\); expected \(samples,\)"),
        (np.zeros(100, np.int64), "an array of int64, whose scale is not known"),
        ((np.zeros(100), 0), "a rate of 0 samples a second"),
        ((np.zeros(100), 44100.5), "expected .samples, rate. with whole samples a second, got 44100.5"),
    ],
)
def test_what_names_no_file_is_refused(data, message):
    with pytest.raises(InputError, match=message):
        sources(data)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (["x"], "2 recordings in X, and 1 answers in y"),
        (["x", None], "b.wav: has no answer in y, but None"),
        (["x", math.nan], "b.wav: has no answer in y, but nan"),
        (["x", " "], "b.wav: has no answer in y, but ' '"),
    ],
)
def test_every_file_needs_an_answer(folder, answers, message):
    with pytest.raises(InputError, match=message):
        labelled_files([folder / "a.wav", folder / "b.wav"], answers, RATE)


def test_answers_are_texts(folder):
    assert labelled_files([folder / "a.wav", folder / "b.wav"], np.array([1, 2]), RATE)[1] == ["1", "2"]


def test_the_places_are_those_of_the_files_that_can_be_read(folder, capsys):
    (folder / "a.wav").write_bytes(b"no sound")
    paths = [folder / "a.wav", folder / "b.wav", Path("gone.wav"), folder / "sub" / "c.wav"]
    assert [(place, len(samples)) for place, samples in read_sounds(paths, RATE)] == [(1, 400), (3, 400)]
    said = capsys.readouterr().err
    assert said.startswith("2 of 4 recordings cannot be read and are left out: ")
    assert "gone.wav (no such file)" in said
    with pytest.raises(InputError, match="cannot be read, and none of the 1 others"):
        list(read_sounds([paths[0], paths[2]], RATE))

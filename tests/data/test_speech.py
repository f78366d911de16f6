"""Recordings and their texts."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import soundfile

from memfold.data.speech import Utterances, is_manifest, read_manifest, read_manifests
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


# -- manifests -----------------------------------------------------------------------------------------------

ROWS = [("a.wav", "good morning", "ann"), ("b.wav", "two coffees, please", "bob"), ("sub/c.wav", "早上好", "ann")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, _, _ in ROWS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, np.zeros(400), 8000)
    return tmp_path


def delimited(separator: str, encoding: str, header: str = "path sentence client_id") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        rows = [separator.join(f'"{value}"' if separator in value else value for value in row) for row in ROWS]
        text = "\n".join([separator.join(header.split()), *rows]) + "\n"
        (folder / "all.csv").write_bytes(text.encode(encoding))
        return folder / "all.csv"

    return write


def lines(audio: str, text: str, speaker: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        rows = [json.dumps(dict(zip((audio, text, speaker), row, strict=True))) for row in ROWS]
        (folder / "all.jsonl").write_text("\n".join(rows))
        return folder / "all.jsonl"

    return write


@pytest.mark.parametrize(
    "write",
    [
        delimited(",", "utf-8"),
        delimited("\t", "utf-8"),
        delimited(";", "utf-16"),
        delimited("|", "gb18030", "Audio Text Speaker"),
        lines("audio", "text", "speaker"),
        lines("audio_filepath", "transcript", "speaker_id"),
        lines("wav", "wrd", "spk_id"),
    ],
)
def test_a_manifest_of_any_dialect_gives_its_files_texts_and_speakers(
    folder: Path, write: Callable[[Path], Path]
) -> None:
    path = write(folder)
    assert is_manifest(path)
    found = read_manifests([path])
    assert found.audio == [folder / name for name, _, _ in ROWS]
    assert found.texts == [text for _, text, _ in ROWS]
    assert found.speakers == ["ann", "bob", "ann"]
    assert found.given.height == 3


@pytest.mark.parametrize("kind", [pl.DataFrame, pd.DataFrame])
def test_a_data_frame_is_a_manifest(folder: Path, kind: Callable[..., object]) -> None:
    frame = kind({"audio": [str(folder / name) for name, _, _ in ROWS], "text": [text for _, text, _ in ROWS]})
    assert read_manifest(frame).audio == [folder / name for name, _, _ in ROWS]


def test_lines_of_json_are_read_whatever_the_name_of_their_file_ends_in(folder: Path) -> None:
    (lines("audio_filepath", "text", "speaker")(folder)).rename(folder / "nemo.json")
    assert read_manifest(folder / "nemo.json").texts == [text for _, text, _ in ROWS]


def test_common_voices_folder_of_clips_is_looked_into(folder: Path) -> None:
    (folder / "clips").mkdir()
    (folder / "a.wav").rename(folder / "clips" / "a.wav")
    (folder / "train.tsv").write_text('path\tsentence\na.wav\t"Good morning, he said.\n')
    found = read_manifest(folder / "train.tsv")
    assert (found.audio, found.texts) == ([folder / "clips" / "a.wav"], ['"Good morning, he said.'])


def test_rows_without_a_file_or_a_text_are_left_out_and_named_together(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "m.csv").write_text("audio,text\na.wav,one\n,two\nb.wav,\ngone.wav,four\n")
    found = read_manifest(folder / "m.csv")
    assert found.audio == [folder / "a.wav", folder / "gone.wav"]  # whose absence reading it names
    assert "2 of 4 rows are left out: row 3 (it names no recording), 4 (its text is empty)" in capsys.readouterr().err
    assert read_manifest(folder / "m.csv", texts=False).texts == ["one", "", "four"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.csv", "file_number,text\n1,a\n", "no column of recordings, such as 'audio'; it has 'file_number', 'text'"),
        ("m.csv", "audio,label\na.wav,a\n", "no column of texts, such as 'text'; it has 'audio', 'label'"),
        (
            "m.jsonl",
            '{"audio": "a.wav", "text": ""}',
            "no row names a recording and its text: row 1 .its text is empty",
        ),
        ("m.csv", "audio,text\n", "names no recordings|no row|holds no"),
        (
            "wav.scp",
            "utt1 a.wav\nutt2 b.wav\n",
            "no column of recordings.*expected a table with a header such as audio,text",
        ),
        ("metadata.csv", "LJ1|Good morning.|good morning\nLJ2|No.|no\n", "no column of recordings.*lines such as"),
        ("gone.csv", None, "gone.csv: no such file"),
        ("sub", None, "sub: a folder; expected a table with a header such as audio,text"),
        ("a.wav", None, "a.wav: a recording .WAV.; expected a table"),
    ],
)
def test_what_is_no_manifest_is_named_with_what_is_one(
    folder: Path, name: str, content: str | None, message: str
) -> None:
    if content is not None:
        (folder / name).write_text(content)
    with pytest.raises(InputError, match=message):
        read_manifest(folder / name)


def test_sound_is_no_manifest_whatever_its_name(folder: Path) -> None:
    (folder / "a.wav").rename(folder / "a.txt")
    (folder / "memo").write_bytes(b"\0\0\0\x1cftypM4A \0\0\2\0")
    (folder / "notes.wav").write_text("audio,text\n")
    assert not any(is_manifest(folder / name) for name in ("a.txt", "memo", "notes.wav", "gone.csv", "a\0", "sub"))


# -- speakers ------------------------------------------------------------------------------------------------


def test_speakers_are_held_out_whole_where_enough_are_known() -> None:
    speakers = [f"s{k % 30}" for k in range(300)]
    whole = Utterances("some", [Path(f"{k}.wav") for k in range(300)], [f"t{k}" for k in range(300)], speakers)
    rest, held = whole.split_by_speaker()
    assert not set(rest.speakers) & set(held.speakers)
    assert 15 <= len(held) <= 30
    assert sorted(rest.audio + held.audio) == sorted(whole.audio)
    few = Utterances("some", whole.audio, whole.texts, ["ann", "bob", "cleo"] * 100)
    assert few.split_by_speaker() == few.split()


def test_copies_stay_on_one_side() -> None:
    whole = utterances([f"text {k}" for k in range(200)])
    keys = [k // 2 for k in range(200)]  # each recording is there twice, with another text
    rest, held = whole.split(keys)
    numbers = [{keys[int(path.stem)] for path in part.audio} for part in (rest, held)]
    assert held.audio
    assert not numbers[0] & numbers[1]

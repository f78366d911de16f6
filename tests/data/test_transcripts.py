"""Recordings and texts as corpora are laid out: each layout written and read back, its parts, and what is left out."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from memfold.data.transcripts import parts_at, read_utterances
from memfold.errors import InputError

WORDS = st.text(st.sampled_from("abcdé 早上好'"), min_size=1, max_size=12)
TEXTS = st.lists(WORDS.map(lambda text: " ".join(text.split())).filter(bool), min_size=1, max_size=4)
Write = Callable[[Path, list[str]], Path]


def sound(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(800, np.float32), 8000)
    return path.name


def common_voice(folder: Path, texts: list[str], name: str = "validated") -> Path:
    lines = ["client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccents"]
    for number, text in enumerate(texts):
        lines.append(f"c{number}\t{sound(folder / 'clips' / f'{name}_{number}.wav')}\t{text}\t2\t0\t\t\t")
    (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def librispeech(folder: Path, texts: list[str], part: str = "dev-clean") -> Path:
    chapter = folder / "LibriSpeech" / part / "84" / "121"
    lines = [f"{Path(sound(chapter / f'84-121-{number:04}.flac')).stem} {text}\n" for number, text in enumerate(texts)]
    (chapter / "84-121.trans.txt").write_text("".join(lines), encoding="utf-8")
    return folder


def kaldi(folder: Path, texts: list[str]) -> Path:
    names = [f"utt{number}" for number in range(len(texts))]
    scp = "".join(f"{name} audio/{sound(folder / 'audio' / f'{name}.wav')}\n" for name in names)
    (folder / "wav.scp").write_text(scp)
    (folder / "text").write_text("".join(f"{n} {t}\n" for n, t in zip(names, texts, strict=True)), encoding="utf-8")
    (folder / "utt2spk").write_text("".join(f"{name} s{k % 2}\n" for k, name in enumerate(names)))
    return folder


def ljspeech(folder: Path, texts: list[str]) -> Path:
    names = [Path(sound(folder / "wavs" / f"LJ-{number}.wav")).stem for number in range(len(texts))]
    rows = [f"{name}|{text}, 42.|{text}\r\n" for name, text in zip(names, texts, strict=True)]
    (folder / "metadata.csv").write_text("".join(rows), encoding="utf-8", newline="")
    return folder


def pairs(folder: Path, texts: list[str]) -> Path:
    for number, text in enumerate(texts):
        sound(folder / f"{number}.wav")
        (folder / f"{number}.txt").write_text(text, encoding="utf-8-sig")
    return folder


def pairs_apart(folder: Path, texts: list[str]) -> Path:
    for number, text in enumerate(texts):
        name = f"p{number}_001"
        sound(folder / "wav48" / f"p{number}" / f"{name}.wav")
        (folder / "txt" / f"p{number}").mkdir(parents=True)
        (folder / "txt" / f"p{number}" / f"{name}.txt").write_text(text + "\n", encoding="utf-8")
    return folder


def plain_table(folder: Path, texts: list[str]) -> Path:
    rows = [f"C:\\data\\{sound(folder / f'{number}.wav')}\t{text}" for number, text in enumerate(texts)]
    (folder / "list.tsv").write_text("\n".join(["Path\tSentence", *rows]), encoding="utf-8")
    return folder / "list.tsv"


LAYOUTS: dict[str, Write] = {
    "Common Voice": common_voice,
    "LibriSpeech": librispeech,
    "Kaldi": kaldi,
    "LJSpeech": ljspeech,
    "pairs": pairs,
    "pairs apart": pairs_apart,
    "table": plain_table,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@given(texts=TEXTS)
@settings(max_examples=5, deadline=None)
def test_every_layout_reads_back_to_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, layout: str, texts: list[str]
) -> None:
    read = read_utterances(LAYOUTS[layout](tmp_path_factory.mktemp("made"), texts))
    assert read.texts == texts
    assert all(Path(str(file)).is_file() for file in read.audio)


def test_tables_and_folders_name_the_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = {"train": 3, "dev": 1, "test": 2}
    for name, count in {**counts, "validated": 6, "invalidated": 1, "other": 1}.items():
        common_voice(tmp_path / "cv", ["yes"] * count, name)
    for part, name in (("train-clean-100", "a"), ("train-other-500", "b"), ("dev-clean", "c"), ("test-clean", "d")):
        librispeech(tmp_path / "ls", [name] * 2, part)
    for part, count in counts.items():
        kaldi(tmp_path / "kaldi" / "data" / part, ["yes"] * count)
    for folder, sizes in (("cv", [3, 1, 2]), ("ls", [4, 2, 2]), ("kaldi", [3, 1, 2])):
        parts = parts_at(tmp_path / folder)
        assert list(parts) == ["train", "valid", "test"], folder
        assert [len(read()) for read in parts.values()] == sizes
    assert capsys.readouterr().err == ""
    assert read_utterances(tmp_path / "ls" / "LibriSpeech" / "dev-clean").speakers == ["84", "84"]


def test_lines_without_a_recording_or_a_text_are_named_with_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kaldi(tmp_path / "k", ["one", "two", "three"])
    (tmp_path / "k" / "audio" / "utt1.wav").unlink()
    with open(tmp_path / "k" / "wav.scp", "a") as file:
        file.write("utt9 sph2pipe -f wav x.sph |\n")
    assert read_utterances(tmp_path / "k").texts == ["one", "three"]
    err = capsys.readouterr().err
    assert "1 entries of wav.scp are commands, which are not run; write files: utt9" in err
    assert "1 of 3 lines without a recording or a text are left out: utt1" in err
    pairs(tmp_path / "p", ["one", "two"])
    (tmp_path / "p" / "1.txt").write_text("")
    sound(tmp_path / "p" / "2.wav")
    assert read_utterances(tmp_path / "p").texts == ["one"]
    assert "2 of 3 lines without a text or with an empty one are left out: 2.wav, 1.txt" in capsys.readouterr().err
    ljspeech(tmp_path / "l", ["one", "two"])
    (tmp_path / "l" / "wavs" / "LJ-1.wav").unlink()
    assert read_utterances(tmp_path / "l" / "metadata.csv").texts == ["one"]
    err = capsys.readouterr().err
    assert "of 1 texts the second form is taken" in err
    assert "1 of 2 lines without a recording or a text are left out: LJ-1" in err


def test_a_table_without_a_header_is_read_and_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{sound(tmp_path / f'{number}.wav')},good morning {number}" for number in range(2)]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    assert read_utterances(tmp_path / "list.csv").texts == ["good morning 0", "good morning 1"]
    assert "has no header; files are in column 1, texts in column 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder, "holds no recordings; expected a manifest"),
        (lambda folder: sound(folder / "a.wav"), "holds 1 recordings, but no texts that belong to them; expected"),
        (lambda folder: (kaldi(folder, ["a"]) / "segments").write_text("utt0 rec 0 1\n"), "its segments are stretches"),
        (
            lambda folder: (common_voice(folder, ["a"], "train"), common_voice(folder, ["a"], "training")),
            "train.tsv, training.tsv all name the part train; give one of them",
        ),
        (
            lambda folder: (common_voice(folder, ["a"], "one"), common_voice(folder, ["a"], "two")),
            "holds several manifests; name one of them: one.tsv, two.tsv",
        ),
    ],
)
def test_folders_that_cannot_be_read_are_refused_by_name(
    tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    make(tmp_path)
    with pytest.raises(InputError, match=re.escape(message)):
        read_utterances(tmp_path)

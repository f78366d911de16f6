"""Files of a kind in folders."""

from pathlib import Path

import pytest

from memfold.data.folders import (
    files_at,
    files_below,
    is_file,
    is_folder,
    labelled_folders,
    left_out_below,
    split_folders,
)
from memfold.errors import InputError

NAMES = ["b/2.WAV", "b/below/1.wav", "a/1.wav", "a/.hidden.wav", "a/notes.txt", ".cache/3.wav", "empty/notes.txt"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a" / "folder.wav").mkdir()
    return tmp_path


def test_files_of_a_kind_are_found_below_in_order(root: Path) -> None:
    assert files_below(root / "b", {".wav"}) == [root / "b/2.WAV", root / "b/below/1.wav"]
    assert files_below(root / "a", {".wav"}) == [root / "a/1.wav"]
    assert files_below(root / "a", {".txt", ".wav"}) == [root / "a/1.wav", root / "a/notes.txt"]


def test_a_folder_names_what_is_in_it_and_an_empty_one_is_refused(root: Path) -> None:
    found = dict(labelled_folders(root, {".wav"}))
    assert list(found) == ["a", "b", "empty"]
    assert found["b"] == files_below(root / "b", {".wav"})
    assert found["empty"] == []


def test_a_path_is_a_file_or_a_folder_that_holds_some(root: Path) -> None:
    assert files_at(root / "a/notes.txt", {".wav"}, "sounds") == [root / "a/notes.txt"]
    assert files_at(root / "a", {".wav"}, "sounds") == [root / "a/1.wav"]
    with pytest.raises(InputError, match="empty: holds no sounds"):
        files_at(root / "empty", {".wav"}, "sounds")
    with pytest.raises(InputError, match="nothing: no such file or folder"):
        files_at(root / "nothing", {".wav"}, "sounds")


def test_hidden_folders_are_left_out_and_what_is_left_out_is_counted(root: Path) -> None:
    (root / "a" / ".checkpoints").mkdir()
    (root / "a" / ".checkpoints" / "1.wav").touch()
    assert files_below(root / "a", {".wav"}) == [root / "a/1.wav"]
    assert left_out_below(root / "a", {".wav"}) == "3 other files (2 hidden, 1 .txt)"
    assert left_out_below(root / "empty", {".wav"}) == "1 other file (1 .txt)"
    assert left_out_below(root / "b", {".wav"}) == ""


def test_a_name_that_no_file_system_takes_is_nothing() -> None:
    for name in ("a\0b", "x" * 5000, "\ud800"):
        assert not is_file(Path(name))
        assert not is_folder(Path(name))
        with pytest.raises(InputError, match="no such file or folder"):
            files_at(Path(name), {".wav"}, "sounds")


def made(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def parts_of(root: Path, flat: bool = False) -> dict[str, str]:
    found = split_folders(root, {".wav"}, "sounds", "command", flat)
    return {part: str(folder.relative_to(root)) for part, folder in found.items()}


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (("train/a/1.wav", "val/a/1.wav", "test/a/1.wav"), {"train": "train", "valid": "val", "test": "test"}),
        (("Training/a/1.wav", "TEST/b/1.wav"), {"train": "Training", "test": "TEST"}),
        (("train2017/a/1.wav", "validation set/a/1.wav"), {"train": "train2017", "valid": "validation set"}),
        (("deep/train/a/1.wav", "deep/dev/a/1.wav"), {"train": "deep/train", "valid": "deep/dev"}),
        (("train/a/1.wav", "notes.txt", "empty/notes.txt"), {"train": "train"}),
        (("train/a/1.wav", "test/a/1.wav", "extra/1.wav"), {"train": "train", "test": "test"}),
        (("train/a/1.wav", "test/1.wav"), {"train": "train"}),
        (("bus/1.wav", "train/1.wav"), {}),
        (("ann/1.wav", "Dev/1.wav", "val/1.wav"), {}),
        (("a/1.wav", "b/c/1.wav"), {}),
    ],
)
def test_parts_of_a_split_are_told_from_classes(tmp_path: Path, names: tuple[str, ...], parts: dict[str, str]) -> None:
    assert parts_of(made(tmp_path, *names)) == parts


@pytest.mark.parametrize(
    "names",
    [
        ("train/1.wav", "test/1.wav"),
        ("train/1.wav",),
        ("a/1.wav", "b/1.wav", "test/1.wav"),
        ("bus/1.wav", "train/steam/1.wav"),
    ],
)
def test_what_may_be_parts_or_classes_is_refused_with_both_readings(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(
        InputError, match=r"can be read in two ways: as parts of a split.*or as commands of these names"
    ):
        parts_of(made(tmp_path, *names))


def test_a_part_is_one_folder(tmp_path: Path) -> None:
    made(tmp_path, "val/a/1.wav", "dev/a/1.wav", "train/a/1.wav")
    with pytest.raises(InputError, match="'dev' and 'val' are both the part to validate on"):
        parts_of(tmp_path)


def test_what_is_left_out_of_a_split_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts_of(made(tmp_path, "train/a/1.wav", "val/a/1.wav", "test/1.wav", "extra/b/1.wav"))
    err = capsys.readouterr().err
    assert f"{tmp_path / 'test'}: holds sounds without a folder for each command and is left out" in err
    assert "beside its parts, extra is left out" in err


def test_files_that_say_what_they_hold_lie_directly_in_a_part(tmp_path: Path) -> None:
    assert parts_of(made(tmp_path, "train/a_1.wav", "test/a_2.wav"), flat=True) == {"train": "train", "test": "test"}
    assert parts_of(made(tmp_path, "a_3.wav"), flat=True) == {}

"""Files of a kind in folders."""

from pathlib import Path

import pytest

from memfold.data.folders import files_at, files_below, labelled_folders
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

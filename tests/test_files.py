"""Whatever interrupts a writing, what was there before can be read, or what is there now."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from memfold.errors import InputError
from memfold.files import FolderKind, check_file, check_folder, settle, sha256, write_file, write_folder
from memfold.stream import Layer, Stream

KIND = FolderKind(
    "model",
    lambda config: config.get("format") == "a format",
    frozenset({"config.json", "weights", "extra", "half"}),
    unfinished="half",
)
DEAD = 2**22 + 1  # above the largest number that Linux gives to a process


def writer(version: str, *more: str) -> Callable[[Path], None]:
    def write(aside: Path) -> None:
        (aside / "config.json").write_text(json.dumps({"format": "a format", "version": version}))
        for name in ("weights", *more):
            (aside / name).write_text(version)

    return write


def content(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir() if file.is_file()}


def version(folder: Path) -> str:
    """Of a folder of which all files must be of one version."""
    settle(folder)
    found = content(folder)
    assert set(found) == {"config.json", "weights"}
    assert json.loads(found["config.json"])["version"] == found["weights"]
    return found["weights"]


def test_a_folder_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "new" / "model"
    write_folder(path, KIND, writer("1", "extra"))
    (path / "half").write_text("kept")
    write_folder(path, KIND, writer("2"), keep={"half"})
    assert content(path).keys() == {"config.json", "weights", "half"}
    write_folder(path, KIND, writer("3"))
    assert version(path) == "3"


def test_a_disk_that_fills_up_leaves_the_old_folder(tmp_path: Path) -> None:
    def full(aside: Path) -> None:
        writer("2")(aside)
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match=r"No space left on device.*untouched"):
        write_folder(tmp_path / "model", KIND, full)
    assert list(tmp_path.iterdir()) == []
    write_folder(tmp_path / "model", KIND, writer("1"))
    with pytest.raises(InputError, match=r"No space left on device.*untouched"):
        write_folder(tmp_path / "model", KIND, full)
    assert version(tmp_path / "model") == "1"


KILLED = """
import os, signal, sys
from pathlib import Path
from test_files import KIND, writer
from memfold.files import write_folder

def killed_at(step, path):
    def fatal(call):
        def counted(*arguments, **options):
            nonlocal step
            step -= 1
            if step < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)
        return counted
    for name in ("mkdir", "open", "replace", "rmdir", "unlink", "fsync"):
        setattr(os, name, fatal(getattr(os, name)))
    write_folder(path, KIND, writer("2"))
    os._exit(0)

for step in range(60):
    path = Path(sys.argv[1]) / str(step)
    write_folder(path, KIND, writer("1"))
    (path / "extra").write_text("1")  # that the new one does not have
    child = os.fork()
    if child == 0:
        killed_at(step, path)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == 0:
        break
    assert code == -signal.SIGKILL, code
"""


def test_a_kill_between_any_two_steps_leaves_one_whole_folder(tmp_path: Path) -> None:
    """The old one until all of the new one is on the disk, from then on the new one."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=environment, check=True)
    seen = []
    for step in range(len(list(tmp_path.iterdir()))):
        path = tmp_path / str(step)
        settle(path)
        found = content(path)
        seen.append(found["weights"])
        assert ("extra" in found) == (found["weights"] == "1")
        check_folder(path, KIND)
        (path / "extra").unlink(missing_ok=True)
        assert version(path) == seen[-1]
    assert seen == sorted(seen)
    assert set(seen) == {"1", "2"}


@pytest.mark.parametrize(
    "name",
    [f".weights.{DEAD}", f".writing.{DEAD}", f".writing.{os.getpid()}"],
    ids=["a file", "a folder", "a folder of this process"],
)
def test_what_a_killed_process_left_is_removed(tmp_path: Path, name: str) -> None:
    write_folder(tmp_path / "model", KIND, writer("1"))
    left = tmp_path / "model" / name
    if "writing" in name:
        left.mkdir()
        (left / "weights").write_text("half")
    else:
        left.write_text("half")
    check_folder(tmp_path / "model", KIND)
    assert not left.exists()
    assert version(tmp_path / "model") == "1"


def test_what_a_library_puts_beside_a_file_while_it_writes_is_in_nobodys_way(tmp_path: Path) -> None:
    """As safetensors does, of which a kill leaves a file by a random name."""

    def write(aside: Path) -> None:
        (aside.parent / ".tmp1234").touch()
        assert [file.name for file in tmp_path.iterdir()] == [aside.parent.name]
        aside.write_text("1")

    write_file(tmp_path / "half", write)
    assert content(tmp_path) == {"half": "1"}
    assert os.listdir(tmp_path) == ["half"]
    left = tmp_path / f".half.{DEAD}"
    left.mkdir()
    (left / ".tmp1234").touch()
    check_folder(tmp_path, KIND)
    assert os.listdir(tmp_path) == ["half"]


def test_what_a_running_process_writes_is_left_alone(tmp_path: Path) -> None:
    left = tmp_path / f".weights.{os.getppid()}"
    left.touch()
    write_file(tmp_path / "weights", lambda aside: aside.write_text("1") and None)
    assert left.exists()


@pytest.mark.parametrize("name", ["thesis.tex", f".thesis.tex.{DEAD}", "weights", "config.json", ".written"])
def test_a_foreign_folder_is_refused_and_untouched(tmp_path: Path, name: str) -> None:
    """A config.json of something else too, and a file that only has the name of one of a model."""
    (tmp_path / name).write_text('{"format": "other"}')
    with pytest.raises(InputError, match=r"which is not part of a model; choose another folder"):
        write_folder(tmp_path, KIND, writer("1"))
    assert content(tmp_path) == {name: '{"format": "other"}'}


def test_a_link_in_the_place_of_an_unfinished_writing_moves_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").write_text("dear")
    path = tmp_path / "model"
    path.mkdir()
    (path / ".written").symlink_to(tmp_path / "mine")
    settle(path)
    assert content(tmp_path / "mine") == {"letter": "dear"}


def test_a_symlink_to_a_folder_stays_one_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "model").symlink_to(tmp_path / "disk")
    for own in ("1", "2"):
        write_folder(tmp_path / "model", KIND, writer(own))
        assert (tmp_path / "model").is_symlink()
        assert version(tmp_path / "disk") == own


def test_the_current_folder_is_written_and_stays_the_same_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = tmp_path.stat().st_ino
    write_folder(Path("."), KIND, writer("1"))
    assert version(tmp_path) == "1"
    assert tmp_path.stat().st_ino == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dangling", r"is a symlink to nowhere, which is not there; make that folder"),
        ("file", "is a file; give the name of a folder"),
        ("file/model", "file is not a folder; choose another"),
        ("dangling/model", "dangling is not a folder; choose another"),
        ("loop", "is a symlink to loop, which is not there"),
        ("n" * 300, "File name too long"),
        ("/proc/self/model", "/proc/self: nothing can be written there"),
    ],
)
def test_a_place_that_cannot_be_written_is_reported_before_the_work(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=message):
        check_folder(tmp_path / name, KIND)


def test_a_file_is_written_through_its_symlink(tmp_path: Path) -> None:
    (tmp_path / "page").symlink_to(tmp_path / "target")
    write_file(tmp_path / "page", lambda aside: aside.write_text("1") and None)
    assert (tmp_path / "page").is_symlink()
    assert (tmp_path / "target").read_text() == "1"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none/page", "there is no folder"),
        ("folder", "is a folder; give the name of a file"),
        ("/dev/null", "is no ordinary file"),
        ("/proc/self/page", "nothing can be written there"),
    ],
)
def test_a_file_that_cannot_be_written_is_reported_before_the_work(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=message):
        check_file(tmp_path / name)


def test_a_hash_is_that_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert sha256(tmp_path / "empty").startswith("e3b0c44298fc1c14")  # FIPS 180-4, of no bytes


def stream(value: float) -> Stream:
    return Stream([Layer("rnn_relu", {"weight_ih": np.full((1, 1), value), "weight_hh": np.ones((1, 1))})])


def answer(path: Path) -> float:
    return float(Stream.load(path).step(np.ones(1, np.float32)).item())


def test_a_full_disk_leaves_the_old_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream(1).save(tmp_path / "s")

    def full(tensors: object, path: Path) -> None:
        path.write_bytes(b"half a file")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("memfold.stream.save_file", full)
    with pytest.raises(InputError, match=r"No space left on device.*untouched"):
        stream(2).save(tmp_path / "s")
    assert answer(tmp_path / "s") == 1


def test_a_stream_is_not_written_over_anything_else(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear")
    with pytest.raises(ValueError, match="holds 'letter', which is not part of a stream"):
        stream(1).save(tmp_path)
    assert content(tmp_path) == {"letter": "dear"}


def test_a_stream_whose_writing_was_interrupted_at_the_last_moment_is_the_new_one(tmp_path: Path) -> None:
    stream(1).save(tmp_path / "s")
    stream(2).save(tmp_path / "new")
    (tmp_path / "new").rename(tmp_path / "s" / ".written")
    os.replace(tmp_path / "s" / ".written" / "config.json", tmp_path / "s" / "config.json")
    assert answer(tmp_path / "s") == 2

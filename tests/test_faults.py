"""A fit that is killed, stopped, or lacks something costs nothing; each in processes of its own."""

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import run_here
from faults import CHECKPOINT, FAULTS, MEMFOLD, Fits, NotTriedError, Program, unfinished, writes
from memfold.errors import InputError
from memfold.system import locked
from memfold.tasks.generate import TextGenerator


@pytest.fixture(scope="module")
def fits(tmp_path_factory: pytest.TempPathFactory) -> Fits:
    return Fits.undisturbed(tmp_path_factory.mktemp("faults"))


def here(arguments: list[str]) -> None:
    """Fit in this process, which has imported everything, to the end."""
    done = run_here(*arguments[len(MEMFOLD) :])
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_fit_killed_while_it_writes_ends_with_the_same_bits(tmp_path: Path) -> None:
    """tests/faults.py kills as often as wanted, in `make release-check` 100 times, and resumed fits too."""
    fits = Fits.prepared(tmp_path)
    here(fits.command("whole"))
    killed = tmp_path / "killed"
    program = Program(fits.command("killed"), tmp_path / "log")
    program.until(lambda _: (killed / CHECKPOINT).exists() and writes(killed))
    program.send(signal.SIGKILL)
    assert program.finish().code == -signal.SIGKILL, program.said()
    assert unfinished(killed)
    refused = run_here(*fits.command("killed")[len(MEMFOLD) :]).stderr
    assert "holds an unfinished training; go on with --resume" in refused
    assert "unfinished training" in run_here("predict", str(killed)).stderr
    here(fits.command("killed", "--resume"))
    assert fits.weights_in("killed") == fits.weights_in("whole")
    assert sorted(file.name for file in killed.iterdir()) == sorted(
        file.name for file in (tmp_path / "whole").iterdir()
    )


@pytest.mark.release
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_costs_nothing(fits: Fits, name: str) -> None:
    try:
        FAULTS[name](fits)
    except NotTriedError as reason:
        pytest.skip(str(reason))


def test_a_folder_into_which_a_fit_writes_is_refused_to_another_one(tmp_path: Path) -> None:
    """Also to one in the same process; the folder is as it was, and is free again with the other one's end."""
    text = "to and fro " * 60
    model = TextGenerator(hidden_size=4, batch_size=2)
    with locked(tmp_path) as free:
        assert free
        with pytest.raises(InputError, match="another fit writes into this folder; wait for its end"):
            model.fit(text, budget="1ep", out=tmp_path, overwrite=True, progress=False)
    assert list(tmp_path.iterdir()) == []
    model.fit(text, budget="1ep", out=tmp_path, progress=False)
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.safetensors"]


HELD = """
import sys, time
from pathlib import Path
from memfold.system import locked
with locked(Path(sys.argv[1])) as free:
    print(free, flush=True)
    time.sleep(600)
"""


def test_a_killed_process_lets_go_of_its_folder(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HELD, tmp_path], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.readline() == "True\n"
        with locked(tmp_path) as free:
            assert not free
        holder.kill()
        holder.wait()
    with locked(tmp_path) as free:
        assert free


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (MemoryError(), "the memory that there is was not enough"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"), "the memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "the memory that there is was not enough"),
        (OSError(errno.EMFILE, "Too many open files"), "raise the limit, ulimit -n"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_the_machine_lacks_is_one_line(error: Exception, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking() -> None:
        raise error

    monkeypatch.setattr("memfold.doctor.examine", lacking)
    done = run_here("doctor")
    assert done.returncode == 2
    assert done.stderr.startswith("memfold: ")
    assert line in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty() -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr("memfold.doctor.examine", faulty)
    with pytest.raises(RuntimeError, match="a fault"):
        run_here("doctor")


def test_an_output_that_takes_nothing_more_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "memfold", "params", "generate"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "No space left on device" in done.stderr


def test_formulas_and_names_in_a_table_are_answered_as_they_were_given(tmp_path: Path) -> None:
    """Changing them would be a fault: they are names by which answers are joined to what is known of them."""
    import polars as pl

    names = ["=1+1", "+49 30", "-5", "@SUM(A1)", '=HYPERLINK("http://x","y")', "\t=1"]
    rows = [{"unique_id": name, "ds": k, "y": float(k % 4)} for name in names for k in range(40)]
    pl.DataFrame(rows).write_csv(tmp_path / "a.csv")
    done = run_here("forecast", str(tmp_path / "a.csv"), "--horizon", "1", "--out", str(tmp_path / "b.csv"))
    assert done.returncode == 0, done.stderr
    answered = pl.read_csv(tmp_path / "b.csv", infer_schema=False)["unique_id"].to_list()
    assert sorted(answered) == sorted(names)

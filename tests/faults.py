"""Faults that must cost nothing: fits in processes of their own that are killed, stopped, or lack something.

    python tests/faults.py --kills 100       that many kills at random moments, by --seed; all resumed to the same bits
    python tests/faults.py                   every other fault
    python tests/faults.py full_disk         one of them

Whether a process hangs is judged by what it has used of the processor, so that a busy machine does not count.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memfold.files import check_folder, settle
from memfold.formats.directory import MODEL

__all__ = [
    "CHECKPOINT",
    "FAULTS",
    "MEMFOLD",
    "Fits",
    "NotTriedError",
    "Program",
    "kill_and_resume",
    "unfinished",
    "writes",
]

CHECKPOINT, WEIGHTS = "checkpoint.safetensors", "model.safetensors"
MEMFOLD = [sys.executable, "-m", "memfold"]
SMALL = ["--set", "hidden_size=4", "batch_size=4"]
IDLE = 300.0  # seconds without any work after which a process hangs
MOST = 120.0  # seconds of the processor after which it does
TICKS = os.sysconf("SC_CLK_TCK")


class NotTriedError(Exception):
    """A fault that cannot be made on this machine, and why."""


@dataclass(frozen=True)
class Fits:
    """Fits of one small task, and what they end with when nothing disturbs them.

    Attributes:
        folder: for what they write.
        weights: the bytes of ``model.safetensors``.
        seconds: of the processor that a fit takes.
    """

    folder: Path
    weights: bytes
    seconds: float

    @classmethod
    def prepared(cls, folder: Path) -> "Fits":
        """Write the text; nothing is fitted yet."""
        (folder / "text.txt").write_text("to and fro and once more. " * 60, encoding="utf-8")
        return cls(folder, b"", 0.0)

    @classmethod
    def undisturbed(cls, folder: Path) -> "Fits":
        """Write the text and fit to it once."""
        fits = cls.prepared(folder)
        whole = Program(fits.command("whole"), folder / "log")
        whole.finish()
        assert whole.code == 0, whole.said()
        return cls(folder, fits.weights_in("whole"), whole.used)

    def command(self, out: str | Path, *more: str, budget: str = "20ep") -> list[str]:
        """The command line of a fit into a folder below this one's."""
        fit = ["fit", "generate", str(self.folder / "text.txt"), "--out", str(self.folder / out), "--budget", budget]
        return [*MEMFOLD, *fit, *SMALL, *more]

    def weights_in(self, out: str | Path) -> bytes:
        """The weights of a finished fit."""
        return (self.folder / out / WEIGHTS).read_bytes()

    def end(self, out: str | Path) -> None:
        """Go on with what is left of a fit; it must end with the same bits."""
        if unfinished(self.folder / out):
            program = Program(self.command(out, "--resume"), self.folder / "log").finish()
            assert program.code == 0, program.said()
        assert self.weights_in(out) == self.weights, f"{out}: other bits than those of an undisturbed fit"
        check_folder(self.folder / out, MODEL)  # removes what a killed process left
        left = [file.name for file in (self.folder / out).iterdir() if file.name.startswith(".")]
        assert not left, left


def unfinished(out: Path) -> bool:
    """Whether a folder holds anything else than a finished model, to which a whole but not yet moved one counts."""
    settle(out)
    return not (out / WEIGHTS).exists() or (out / CHECKPOINT).exists()


class Program:
    """A program that runs, its lines in a file.

    Attributes:
        used: seconds of the processor, as of the last look.
        code: how it ended; None while it runs.
    """

    def __init__(self, arguments: list[str], log: Path, **options: Any) -> None:
        self.log = log
        if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as a shell has it of what runs behind; it is inherited
            signal.signal(signal.SIGINT, signal.default_int_handler)
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=options.pop("stdout", file), stderr=file, **options
            )
        self.used, self.code = 0.0, None if self.process.poll() is None else self.process.returncode

    def said(self) -> str:
        """What it has said so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def until(self, condition: Callable[["Program"], bool]) -> "Program":
        """Wait until something is there, or the program has ended."""
        moved = time.monotonic()
        while self.code is None and not condition(self):
            time.sleep(0.002)
            self.code = self.process.poll()
            used = self._seconds()
            if used > self.used:
                self.used, moved = used, time.monotonic()
            assert self.used < MOST, f"still at work after {MOST:.0f} seconds of the processor: {self.said()}"
            assert time.monotonic() - moved < IDLE, f"it hangs: {self.said()}"
        return self

    def finish(self) -> "Program":
        """Wait for its end."""
        return self.until(lambda _: False)

    def send(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.process.poll() is None:
            self.process.send_signal(number)

    def refusal(self) -> str:
        """The one line in which it refused or gave up."""
        self.finish()
        said = self.said()
        assert self.code == 2, (self.code, said)
        assert "Traceback" not in said, said
        last = said.strip().splitlines()[-1]
        assert last.startswith("memfold: "), said
        return last

    def _seconds(self) -> float:
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return self.used
        return (int(fields[11]) + int(fields[12])) / TICKS


# -- kills ---------------------------------------------------------------------------------------------------


def kill_and_resume(fits: Fits, kills: int, seed: int, most: int = 8) -> str:
    """Kill fits at random moments and resume each; all must end with the bits of the undisturbed one.

    Args:
        kills: how many kills in all.
        most: kills of one fit, each but the last followed by a resumed training that is killed too.

    Returns:
        What came of it, in words.
    """
    dice = random.Random(seed)
    done, number = 0, 0
    where = dict.fromkeys(("before a checkpoint", "in training", "while writing", "after the training"), 0)
    while done < kills:
        out = f"killed{number}"
        number += 1
        for _ in range(min(dice.randint(1, most), kills - done)):
            if not unfinished(fits.folder / out):
                break
            state = _killed(fits, out, dice)
            if state is None:
                break  # it was faster
            where[state] += 1
            done += 1
        fits.end(out)
        print(f"{done} kills, {number} fits", file=sys.stderr, flush=True)
    told = ", ".join(f"{count} {state}" for state, count in where.items())
    return f"{done} kills of {number} fits, all of which ended with the same bits: {told}"


def _killed(fits: Fits, out: str, dice: random.Random) -> str | None:
    """Kill a fit, begun or resumed, at a random moment; returns what it was at, None where it had ended."""
    folder = fits.folder / out
    before = _stamp(folder / CHECKPOINT)
    program = Program(fits.command(out, "--resume"), fits.folder / "log")
    kind = dice.choice(["any", "training", "training", "writing"])
    if kind == "any":
        moment = dice.random() * fits.seconds
        program.until(lambda now: now.used >= moment)
    elif kind == "training":
        program.until(lambda _: _stamp(folder / CHECKPOINT) not in (None, before))
        pause = dice.random() * 0.3 * fits.seconds
        from_here = program.used
        program.until(lambda now: now.used >= from_here + pause)
    else:
        skipped = dice.randint(0, 2)
        for _ in range(skipped):
            program.until(lambda _: writes(folder))
            program.until(lambda _: not writes(folder))
        program.until(lambda _: writes(folder))
    writing = writes(folder)
    program.send(signal.SIGKILL)
    program.finish()
    if program.code != -signal.SIGKILL:
        assert program.code == 0, program.said()
        return None
    if writing:
        return "while writing"
    if (folder / CHECKPOINT).exists():
        return "in training"
    return "after the training" if (folder / WEIGHTS).exists() else "before a checkpoint"


def _stamp(file: Path) -> int | None:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return None


def writes(folder: Path) -> bool:
    """Whether something is being written into a folder, or a process was killed while it wrote."""
    try:
        return any(name.startswith(".") for name in os.listdir(folder))
    except OSError:
        return False


# -- other faults --------------------------------------------------------------------------------------------


def interrupted_once(fits: Fits) -> None:
    """Ctrl-C ends a fit with a model that answers, and the fit can be resumed to the same bits."""
    program = Program(fits.command("once"), fits.folder / "log")
    program.until(lambda _: (fits.folder / "once" / CHECKPOINT).exists())
    program.send(signal.SIGINT)
    program.finish()
    assert program.code == 130, program.said()
    assert "Traceback" not in program.said(), program.said()
    assert "interrupted" in program.said().strip().splitlines()[-1]
    assert (fits.folder / "once" / WEIGHTS).exists()
    assert (fits.folder / "once" / CHECKPOINT).exists()
    fits.end("once")


def interrupted_at_the_start(fits: Fits) -> None:
    """Ctrl-C while packages are still imported is no traceback."""
    for share in (0.05, 0.15, 0.3):
        program = Program(fits.command("start"), fits.folder / "log")
        moment = share * fits.seconds
        program.until(lambda now, moment=moment: now.used >= moment)  # type: ignore[misc]
        program.send(signal.SIGINT)
        program.finish()
        assert program.code in (130, -signal.SIGINT), (program.code, program.said())
        assert "Traceback" not in program.said(), program.said()


def interrupted_twice(fits: Fits) -> None:
    """A second Ctrl-C, whenever it comes, ends the process without a traceback, and the fit can be resumed."""
    for attempt, pause in enumerate((0.0, 0.02, 0.2)):
        out = f"twice{attempt}"
        program = Program(fits.command(out), fits.folder / "log")
        program.until(lambda _, out=out: (fits.folder / out / CHECKPOINT).exists())  # type: ignore[misc]
        program.send(signal.SIGINT)
        time.sleep(pause)
        program.send(signal.SIGINT)
        program.finish()
        assert program.code in (0, 130, -signal.SIGINT), (program.code, program.said())
        assert "Traceback" not in program.said(), program.said()
        fits.end(out)


def full_disk(fits: Fits) -> None:
    """A disk that is full from some moment on: one line, and the fit goes on where there is room again."""
    for room in ("16k", "64k"):
        with mounted(fits.folder / "small", f"size={room}") as small:
            assert "No space left on device" in Program(fits.command("small/m"), fits.folder / "log").refusal()
            subprocess.run(["mount", "-o", "remount,size=10m", str(small)], check=True)
            fits.end("small/m")


def large_files_refused(fits: Fits) -> None:
    """No file may become longer than some bytes, as on a quota: one line, nothing half written is left."""
    for most in (1, 16):
        out = f"limited{most}"
        limited = ["bash", "-c", f"trap '' XFSZ; ulimit -f {most}; exec \"$@\" 2>&1 | cat", "-", *fits.command(out)]
        program = Program(["bash", "-o", "pipefail", *limited[1:]], fits.folder / "log")
        assert "File too large" in program.refusal(), program.said()
        left = [file.name for file in (fits.folder / out).iterdir()] if (fits.folder / out).exists() else []
        assert not [name for name in left if name != CHECKPOINT], left


def full_output(fits: Fits) -> None:
    """Standard output that takes nothing more: one line."""
    with open("/dev/full", "w") as full:
        for arguments in (["predict", str(fits.folder / "whole"), "--set", "prompt=to", "length=20"], ["data", "list"]):
            program = Program([*MEMFOLD, *arguments], fits.folder / "log", stdout=full)
            assert "No space left on device" in program.refusal(), program.said()


def read_only_folder(fits: Fits) -> None:
    """Refused before anything is read; to root, who may write everywhere, a file system mounted so."""
    closed = fits.folder / "closed"
    if os.geteuid() != 0:
        closed.mkdir(mode=0o500)
        _refused_there(fits)
        return
    with mounted(closed, "ro"):
        _refused_there(fits)


def _refused_there(fits: Fits) -> None:
    for place in ("closed", "closed/m"):
        program = Program(fits.command(place), fits.folder / "log")
        assert "nothing can be written there" in program.refusal(), program.said()


def two_fits(fits: Fits) -> None:
    """Of two fits into one folder one is refused, in a line, and costs the other nothing."""
    programs = [Program(fits.command("both"), fits.folder / f"log{number}") for number in range(2)]
    for program in programs:
        program.finish()
        assert "Traceback" not in program.said(), program.said()
    codes = sorted(program.code or 0 for program in programs)
    assert codes == [0, 2], [program.said() for program in programs]
    fits.end("both")


def clock_that_steps_back(fits: Fits) -> None:
    """The wall clock goes back by a day at every look: the fit is the same, and a budget of time ends too."""
    clock = fits.folder / "clock"
    clock.mkdir()
    (clock / "sitecustomize.py").write_text(
        "import time\nreal, looks = time.time, iter(range(10**9))\ntime.time = lambda: real() - 86400 * next(looks)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(clock)}
    program = Program(fits.command("back"), fits.folder / "log", env=environment).finish()
    assert program.code == 0, program.said()
    fits.end("back")
    program = Program(fits.command("timed", budget="1s"), fits.folder / "log", env=environment).finish()
    assert program.code == 0, program.said()


def bare_environment(fits: Fits) -> None:
    """Without HOME and any other variable, in the locale C: names of all languages are written as they are."""
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "OMP_NUM_THREADS": "1"}
    program = Program(fits.command("模型 é"), fits.folder / "log", env=environment).finish()
    assert program.code == 0, program.said()
    fits.end("模型 é")
    absent = Program([*MEMFOLD, "predict", "不在"], fits.folder / "log", env=environment)
    assert "不在: no such model folder" in absent.refusal()


def another_user(fits: Fits) -> None:
    """Somebody who is not root, without a home that can be written."""
    other = [] if os.geteuid() != 0 else ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    if other and subprocess.run([*other, "true"], capture_output=True, check=False).returncode != 0:
        raise NotTriedError("root may not become another user here")
    environment = {**os.environ, "HOME": "/nonexistent"}
    program = Program([*other, *fits.command("other")], fits.folder / "log", env=environment).finish()
    assert program.code == 0, program.said()
    fits.end("other")


def little_memory(fits: Fits) -> None:
    """Memory that runs out, at whatever moment, is one line or is enough."""
    ends = []
    for megabytes in (2000, 1000, 800, 600, 400):
        out = f"little{megabytes}"
        limited = ["bash", "-c", f'ulimit -v {megabytes * 1024}; exec "$@"', "-", *fits.command(out)]
        program = Program(limited, fits.folder / "log").finish()
        ends.append(f"{megabytes} MB: {program.code}, {program.said().strip().splitlines()[-1]}")
        assert program.code in (0, 2), (ends, program.said())
        assert "Traceback" not in program.said(), (ends, program.said())
        if program.code == 0:
            fits.end(out)
        else:
            assert "memfold: " in program.said().strip().splitlines()[-1], (ends, program.said())
    print("\n".join(ends), file=sys.stderr)


@contextmanager
def mounted(place: Path, options: str) -> Iterator[Path]:
    """A file system in memory, for a while.

    Raises:
        NotTriedError: there may be none.
    """
    place.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(place)], capture_output=True, check=False)
    if done.returncode != 0:
        raise NotTriedError(f"nothing can be mounted ({done.stderr.decode().strip()})")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


FAULTS: Mapping[str, Callable[[Fits], None]] = {
    fault.__name__: fault
    for fault in (
        interrupted_once,
        interrupted_at_the_start,
        interrupted_twice,
        full_disk,
        large_files_refused,
        full_output,
        read_only_folder,
        two_fits,
        clock_that_steps_back,
        bare_environment,
        another_user,
        little_memory,
    )
}


def main() -> int:
    """Run the kills, or the other faults."""
    parser = argparse.ArgumentParser()
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=", ".join(FAULTS))
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # the sums of several threads are rounded otherwise
    with tempfile.TemporaryDirectory() as scratch:
        fits = Fits.undisturbed(Path(scratch))
        print(f"an undisturbed fit takes {fits.seconds:.1f} s of the processor", flush=True)
        if options.kills:
            print(kill_and_resume(fits, options.kills, options.seed))
            return 0
        failed = 0
        for name in options.faults or FAULTS:
            try:
                FAULTS[name](fits)
                print(f"{name}: costs nothing", flush=True)
            except NotTriedError as reason:
                print(f"{name}: not tried, {reason}", flush=True)
            except AssertionError as error:
                failed += 1
                print(f"{name}: {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

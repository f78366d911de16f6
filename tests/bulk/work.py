"""Work for executors, which other processes import."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from memfold import engine
from memfold.errors import InputError


def doubled(unit: int) -> int:
    return 2 * unit


def refused(unit: int) -> int:
    if unit == 3:
        raise InputError(f"{unit}: is odd")
    return unit


def threads(_: int) -> tuple[int, str]:
    return engine.get_num_threads(), os.environ["OMP_NUM_THREADS"]


@dataclass(frozen=True)
class EndsProcess:
    """Ends its process at some units, the first times that they are begun; notes every beginning in a folder."""

    folder: str
    units: tuple[int, ...]
    times: int

    def __call__(self, unit: int) -> int:
        begun = len(list(Path(self.folder).glob(f"{unit}-*")))
        (Path(self.folder) / f"{unit}-{begun}").touch()
        if unit in self.units and begun < self.times:
            os.kill(os.getpid(), signal.SIGKILL)
        return unit


@dataclass(frozen=True)
class Slow:
    """Takes a while, and notes where each unit was done."""

    folder: str
    seconds: float

    def __call__(self, unit: int) -> int:
        (Path(self.folder) / f"{unit}.{os.getpid()}.begun").touch()
        time.sleep(self.seconds)
        return os.getpid()

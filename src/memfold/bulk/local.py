"""Units of work in processes of this machine, each with one thread."""

import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from memfold import engine
from memfold.bulk.executor import ATTEMPTS, Lost

__all__ = ["Local"]

_SPAWN = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang


class Local:
    """An `memfold.bulk.executor.Executor` on this machine.

    Args:
        workers: processes; when None one for each core in reach.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or engine.cores()
        self._idle: list[_Worker] = []

    def run(self, units: Iterable[Any], work: Callable[[Any], Any]) -> Generator[tuple[Any, Any], None, None]:
        """See `memfold.bulk.executor.Executor.run`; a process that ends is replaced."""
        again: list[_Begun] = []  # units of processes that ended
        ahead = iter(units)
        busy: dict[Any, tuple[_Worker, _Begun]] = {}
        try:
            while True:
                while len(busy) < self.workers:
                    begun = again.pop() if again else _next(ahead)
                    if begun is None:
                        break
                    worker = self._idle.pop() if self._idle else _Worker()
                    worker.give(work, begun.unit)
                    busy[worker.connection] = worker, begun
                if not busy:
                    return
                for connection in wait(list(busy)):
                    worker, begun = busy.pop(connection)
                    try:
                        raised, result = worker.take()
                    except (EOFError, OSError):
                        if begun.times < ATTEMPTS:
                            again.append(begun.again())
                        else:
                            yield begun.unit, Lost(f"{begun.times} processes that had it ended ({worker.ending()})")
                        continue
                    if raised:
                        raise result
                    self._idle.append(worker)
                    yield begun.unit, result
        finally:
            for worker, _ in busy.values():
                worker.end()

    def close(self) -> None:
        """See `memfold.bulk.executor.Executor.close`; until then the processes stay for another run."""
        while self._idle:
            self._idle.pop().end()


class _Begun:
    """A unit, and how many times it was begun."""

    def __init__(self, unit: Any, times: int = 1) -> None:
        self.unit, self.times = unit, times

    def again(self) -> "_Begun":
        return _Begun(self.unit, self.times + 1)


def _next(units: Iterator[Any]) -> _Begun | None:
    for unit in units:
        return _Begun(unit)
    return None


class _Worker:
    """A process that does one unit after another."""

    def __init__(self) -> None:
        self.connection, theirs = _SPAWN.Pipe()
        self.process = _SPAWN.Process(target=_serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()  # so that reading from ours ends with the process

    def give(self, work: Callable[[Any], Any], unit: Any) -> None:
        with suppress(OSError):  # it has ended, which `take` will find
            self.connection.send((work, unit))

    def take(self) -> tuple[bool, Any]:
        """Whether an error was raised, and it or the result.

        Raises:
            EOFError, OSError: the process has ended.
        """
        answer: tuple[bool, Any] = self.connection.recv()
        return answer

    def ending(self) -> str:
        self.process.join(5)
        code = self.process.exitcode or 0
        return f"by signal {-code}" if code < 0 else f"with {code}"

    def end(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.join()


def _serve(connection: Connection) -> None:
    """What a worker does: units until the connection, and with it whoever gives them, is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that gives the units
    for variable in ("OMP_NUM_THREADS", "POLARS_MAX_THREADS"):  # of libraries that are loaded from here on
        os.environ[variable] = "1"
    engine.set_num_threads(1)
    while True:
        try:
            work, unit = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer = False, work(unit)
        except Exception as error:
            answer = True, _sendable(error)
        try:
            connection.send(answer)
        except OSError:
            return


def _sendable(error: Exception) -> Exception:
    """An error that reaches the other process."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error

"""Units of work on a cluster of Ray; nothing else of memfold knows of Ray.

Each unit is a plain task. An actor's units would wait for it to be restarted, which never comes where its node is gone
and no other one has room for it.
"""

import logging
import socket
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from memfold.bulk.executor import ATTEMPTS, Lost
from memfold.errors import InputError

__all__ = ["Cluster"]

SECONDS_TO_ANSWER = 10.0
LOOK_AGAIN = 10.0  # seconds after which the nodes are counted anew


class Cluster:
    """An `memfold.bulk.executor.Executor` on a cluster of Ray; each unit has a processor to itself.

    The nodes read and write the same paths, and have the same memfold installed.

    Args:
        address: of the cluster, such as ``10.0.0.1:6379``; ``auto`` is the one that runs on this machine.
        workers: units at once; as many as the cluster has processors when None.
        ahead: without ``workers``, units begun for each processor, so that none waits for its next one.

    Raises:
        InputError: there is no cluster.
    """

    def __init__(self, address: str, workers: int | None = None, ahead: int = 2) -> None:
        self.started = not ray.is_initialized()
        if self.started:
            try:
                _knock(address)
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            except (OSError, ValueError, RuntimeError) as error:
                hint = "start one with ray start --head, or give its address" if address == "auto" else "is it running?"
                reason = str(error).strip().splitlines()[0]
                raise InputError(f"--ray {address}: no cluster of Ray can be reached ({reason}); {hint}") from None
        self._most, self._ahead, self._looked = workers, ahead, 0.0
        self.workers = workers or self._processors()

    def run(self, units: Iterable[Any], work: Callable[[Any], Any]) -> Generator[tuple[Any, Any], None, None]:
        """See `memfold.bulk.executor.Executor.run`; what a process or a node had when it ended is done elsewhere."""
        task = ray.remote(num_cpus=1, max_retries=ATTEMPTS - 1)(_done)
        shared = ray.put(work)
        begun: dict[Any, Any] = {}
        ahead = iter(units)
        try:
            while True:
                for unit in _up_to(self._room() - len(begun), ahead):
                    begun[task.remote(shared, unit)] = unit
                if not begun:
                    return
                ready, _ = ray.wait(list(begun), num_returns=1)
                for reference in ready:
                    unit = begun.pop(reference)
                    yield unit, _result(reference)
        finally:
            for reference in begun:
                with suppress(RayError, ValueError):
                    ray.cancel(reference, force=True)

    def close(self) -> None:
        """See `memfold.bulk.executor.Executor.close`."""
        if self.started:
            ray.shutdown()

    def _processors(self) -> int:
        self._looked = time.monotonic()
        return max(int(ray.cluster_resources().get("CPU", 1)), 1)

    def _room(self) -> int:
        """Units that may be begun at once."""
        if self._most is None and time.monotonic() - self._looked > LOOK_AGAIN:
            self.workers = self._processors()
        return self._most or self._ahead * self.workers


def _knock(address: str) -> None:
    """Make sure that somebody listens at an address: Ray itself would try for minutes.

    Raises:
        OSError, ValueError: nobody does, or it is no address.
    """
    if address == "auto":
        return
    host, _, port = address.rpartition("://")[2].rpartition(":")
    with socket.create_connection((host, int(port)), SECONDS_TO_ANSWER):
        pass


def _up_to(count: int, units: Iterator[Any]) -> Iterator[Any]:
    for _ in range(count):
        for unit in units:
            yield unit
            break


def _done(work: Callable[[Any], Any], unit: Any) -> Any:
    """What a task does."""
    return work(unit)


def _result(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except RayTaskError as error:
        if isinstance(error.cause, RayError):  # before the work, such as a package that is not there
            reason = str(error.cause).strip().splitlines()[-1]
            raise InputError(f"--ray: a node cannot take part ({reason}); is memfold installed there?") from None
        raise error.cause from None
    except RayError as error:
        return Lost(f"{ATTEMPTS} processes that had it ended ({str(error).strip().splitlines()[0]})")

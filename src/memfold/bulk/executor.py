"""Where units of work are done: what `memfold.bulk.local` and `memfold.bulk.cluster` have in common."""

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

__all__ = ["ATTEMPTS", "Executor", "Lost"]

ATTEMPTS = 4  # times that a unit is begun before it is given up: it may be what ends the processes

Unit = TypeVar("Unit")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Lost:
    """In place of a result: every process that had the unit ended.

    Attributes:
        reason: in words.
    """

    reason: str


class Executor(Protocol):
    """Processes that do units of work, several at once.

    Attributes:
        workers: how many at once.
    """

    workers: int

    def run(
        self, units: Iterable[Unit], work: Callable[[Unit], Result]
    ) -> Generator[tuple[Unit, Result | Lost], None, None]:
        """Results as they are ready, in any order; a unit is taken from ``units`` when there is room for it.

        A unit whose process or node ended is begun again, so that what ``work`` does may be done twice.

        Args:
            work: can be pickled, as units and results can.

        Raises:
            Exception: what ``work`` raises; the others are stopped.
        """
        ...

    def close(self) -> None:
        """Let go of what was started."""
        ...

"""Which scores are news: a burst of high ones is one event."""

from collections import deque
from typing import ClassVar

__all__ = ["News"]


class News:
    """Lets a score through unless one of the last points had as high a one.

    Args:
        rest: points that a score lasts.
    """

    moves: ClassVar[tuple[str, ...]] = ("points", "peaks")

    def __init__(self, rest: int) -> None:
        self.rest, self.points = rest, 0
        self.peaks: deque[tuple[int, float]] = deque()  # falling scores of the last points, the highest first

    def __call__(self, score: float) -> float:
        """The score, or 0."""
        self.points += 1
        peaks = self.peaks
        while peaks and peaks[0][0] < self.points - self.rest:
            peaks.popleft()
        news = not peaks or score > peaks[0][1]
        while peaks and peaks[-1][1] <= score:
            peaks.pop()
        peaks.append((self.points, score))
        return score if news else 0.0

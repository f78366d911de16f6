"""What is worth saying of recordings: once for many, with how many and which."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

from memfold.data.audio import INPUT, Sound
from memfold.display import say

__all__ = ["SoundNotes", "noting"]

NAMED = 3  # the first ones
UPSAMPLED = 1.1  # times the samples, from which on a recording lacks what the model looks at


class SoundNotes:
    """What is found in recordings that are read one after another.

    Args:
        rate: samples a second that the model takes.
        fitting: the recordings are to train on, so that different rates matter.
    """

    def __init__(self, rate: int, fitting: bool = False) -> None:
        self.rate, self.fitting = rate, fitting
        self.rates = Counter[int]()
        self.low: list[tuple[int, str]] = []
        self.several: list[str] = []
        self.apart: list[str] = []
        self.cancelled: list[str] = []
        self.silent: list[str] = []
        self.cut: list[str] = []

    def add(self, name: str, sound: Sound) -> None:
        """Take note of a recording."""
        self.rates[sound.rate] += 1
        if sound.rate * UPSAMPLED < self.rate:
            self.low.append((sound.rate, name))
        for names, applies in (
            (self.several, sound.channels > 1 and not sound.apart),
            (self.apart, sound.apart),
            (self.cancelled, sound.cancelled),
            (self.silent, sound.silent),
            (self.cut, sound.cut),
        ):
            if applies:
                names.append(name)

    def say(self) -> None:
        """Say it on standard error, a line for each thing."""
        for line in self.lines():
            say(line)

    def lines(self) -> list[str]:
        """What there is to say."""
        total = self.rates.total()
        lines = []
        if self.fitting and len(self.rates) > 1:
            rates = ", ".join(f"{rate:,} ({count})" for rate, count in sorted(self.rates.items()))
            lines.append(f"recordings of different rates, samples a second: {rates}; all become {self.rate:,}")
        if self.low:
            rates = " or ".join(f"{rate:,}" for rate in sorted({rate for rate, _ in self.low}))
            least = min(rate for rate, _ in self.low)
            who = _which([name for _, name in self.low], total)
            lines.append(
                f"warning: {who}: {rates} samples a second, and the model takes {self.rate:,}. Above {least // 2:,} Hz "
                f"there is nothing in such sound, and answers are worse; for it, fit a model with --set rate={least}"
            )
        for names, what in (
            (self.several, "several channels, which are averaged"),
            (
                self.apart,
                "channels that differ much, as the sides of a call do, and are averaged; take one: --set channel=left "
                "or right",
            ),
            (
                self.cancelled,
                "channels that cancel each other out; keep one: --set channel=left, or "
                "ffmpeg -i FILE -af 'pan=mono|c0=c0' ONE.wav",
            ),
            (self.silent, "silence only"),
            (self.cut, "cut off, shorter than the header says; what is there is read"),
        ):
            if names:
                lines.append(f"{_which(names, total)}: {what}")
        return lines


def _which(names: Sequence[str], total: int) -> str:
    named = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
    return named if total == 1 else f"{len(names)} of {total} recordings ({named})"


def noting(listen: Callable[..., Iterator[Any]], source: BinaryIO, rate: int) -> Iterator[Any]:
    """What `listen` takes from a running input; what is worth knowing of it is said on standard error."""

    def note(sound: Sound) -> None:
        notes = SoundNotes(rate)
        notes.add(INPUT, sound)
        notes.say()

    return listen(source, rate, note)

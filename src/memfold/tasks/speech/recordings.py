"""Audio files for the tasks that hear: which of them are meant, and their sound."""

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from memfold.data.audio import read_audio
from memfold.data.commands import audio_files
from memfold.data.features import LENGTH, LogMel
from memfold.data.unreadable import leave_out
from memfold.display import Terminal
from memfold.errors import InputError, shown

__all__ = ["Samples", "audio_paths", "check_features", "followed", "labelled_files", "read_sounds"]

Samples = NDArray[np.float32]
T = TypeVar("T")


def audio_paths(data: Any) -> list[Path]:
    """The files that one path or several name; of a folder, the audio files in it and below.

    Raises:
        InputError: there is nothing of that name, a folder without audio files, or something that is no path.
    """
    named = [data] if isinstance(data, str | Path) or not isinstance(data, Iterable) else list(data)
    for source in named:
        if not isinstance(source, str | Path):
            raise InputError(f"expected the path of a recording, got {shown(source)}")
    if not named:
        raise InputError("no recordings are given")
    return [path for source in named for path in audio_files(Path(source))]


def labelled_files(X: Any, y: Any) -> tuple[list[Path], list[str]]:
    """Audio files and what is said in each, which scikit-learn gives apart.

    Raises:
        InputError: there are not as many answers as files, one is missing, or a file is not there.
    """
    paths, answers = audio_paths(X), list(y)
    if len(paths) != len(answers):
        raise InputError(f"{len(paths)} recordings in X, and {len(answers)} answers in y")
    for path, answer in zip(paths, answers, strict=True):
        if answer is None or (isinstance(answer, float) and math.isnan(answer)) or not str(answer).strip():
            raise InputError(f"{path}: has no answer in y, but {shown(answer)}")
    return paths, [str(answer) for answer in answers]


def read_sounds(paths: Sequence[Path], rate: int, show: bool = False) -> Iterator[tuple[int, Samples]]:
    """The sound of audio files, each with its place among them.

    Those that cannot be read or are shorter than a frame are left out, and named on standard error at the end.

    Args:
        rate: samples a second that are wanted.
        show: whether to show a progress bar.

    Raises:
        InputError: none of them can be read.
    """
    broken: list[str] = []
    for place, path in enumerate(followed(paths, "reading", show)):
        try:
            samples = read_audio(path, rate)
            if len(samples) < round(LENGTH * rate):
                raise InputError(f"{path}: shorter than {1000 * LENGTH:.0f} ms")
        except InputError as error:
            broken.append(f"{path} ({str(error).removeprefix(f'{path}: ')})")
            continue
        yield place, samples
    leave_out(broken, len(paths), "recordings")


def followed(items: Sequence[T], what: str, show: bool) -> Iterable[T]:
    """The same items, counted by a bar where somebody looks."""
    if not (show and sys.stderr.isatty()):
        return items
    return track(items, what, console=Terminal(file=sys.stderr))


def check_features(features: LogMel) -> None:
    """Make sure that a rate has room for so many bands.

    Raises:
        InputError: a band would be narrower than the steps between a frame's frequencies.
    """
    try:
        features.of(np.zeros(round(LENGTH * features.rate), np.float32))
    except ValueError:
        raise InputError(f"bins must be fewer for a rate of {features.rate}, got {features.bins}") from None

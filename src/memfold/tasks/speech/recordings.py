"""Recordings for the tasks that hear: files, arrays and lists of them in a table, and their sound."""

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.progress import track

from memfold.data.audio import MEAN, Source, Waveform, check_sound, path_of, read_sound
from memfold.data.commands import audio_files
from memfold.data.features import LENGTH, LogMel
from memfold.data.sound_notes import SoundNotes
from memfold.data.speech import is_manifest, read_manifest
from memfold.data.unreadable import leave_out
from memfold.display import Terminal, say
from memfold.errors import InputError, shown

__all__ = [
    "Inputs",
    "Samples",
    "check_features",
    "followed",
    "inputs_of",
    "labelled_files",
    "read_sounds",
    "readable_rows",
    "with_given",
]

Samples = NDArray[np.float32]
T = TypeVar("T")
LONG_NAME = 300  # letters of a path, from which on it is shortened
LONG = 600  # seconds of a recording, from which on it is said before it is read


@dataclass(frozen=True)
class Inputs:
    """Recordings to answer for.

    Attributes:
        sources: files and arrays.
        given: the columns that a table has beside the files, a row a recording; none without a table.
    """

    sources: list[Source]
    given: pl.DataFrame = field(default_factory=pl.DataFrame)


def inputs_of(data: Any, rate: int) -> Inputs:
    """The recordings that somebody means.

    Args:
        data: one of these, or several: a path, of a folder the audio files in it and below; an array ``(samples,)`` at
            ``rate``, or a pair ``(samples, rate)``, as `soundfile.read` gives it; a manifest's path, or a data frame
            with a column of paths.
        rate: samples a second of arrays alone.

    Raises:
        InputError: there is nothing of that name, a folder without audio files, or something that is none of these.
    """
    sources: list[Source] = []
    frames: list[pl.DataFrame] = []
    for item in _items(data):
        if hasattr(item, "columns") or (isinstance(item, str | Path) and is_manifest(Path(item))):
            part = read_manifest(item, texts=False)
            sources += part.audio
            frames.append(part.given)
            continue
        place = len(sources) + 1
        if isinstance(item, str | Path):
            fresh: list[Source] = [*audio_files(path_of(item))]
        elif isinstance(item, tuple) and len(item) == 2 and _is_array(item[0]):
            fresh = [Waveform.of(item[0], item[1], f"recording {place}")]
        elif _is_array(item):
            fresh = [Waveform.of(item, rate, f"recording {place}")]
        else:
            raise InputError(
                f"expected the path of a recording, or its samples as an array or (array, rate), got {shown(item)}"
            )
        sources += fresh
        frames.append(pl.DataFrame({"": [None] * len(fresh)}))
    if not sources:
        raise InputError("no recordings are given")
    given = pl.concat(frames, how="diagonal_relaxed")
    return Inputs(sources, given.drop("", strict=False))


def _items(data: Any) -> list[Any]:
    pair = isinstance(data, tuple) and len(data) == 2 and _is_array(data[0]) and np.ndim(data[1]) == 0
    if isinstance(data, str | Path) or pair or _is_array(data) or hasattr(data, "columns"):
        return [data]
    return list(data) if isinstance(data, Iterable) else [data]


def _is_array(value: Any) -> bool:
    """Whether it is an array of numbers, of whatever library; texts and lists are none."""
    if isinstance(value, list | tuple | str | Path) or not hasattr(value, "__array__") or hasattr(value, "columns"):
        return False
    array = np.asarray(value)
    return array.ndim > 0 and array.dtype.kind in "biuf"


def short_name(source: Any, number: int) -> str:
    """What a page calls a recording: the file by its folder and its name, sound by its number from 1.

    >>> short_name("data/yes/ann_3.wav", 7), short_name(np.zeros(8), 7)
    ('yes/ann_3.wav', '7')
    """
    return "/".join(Path(source).parts[-2:]) if isinstance(source, str | Path) else str(number)


def with_given(given: pl.DataFrame, name: str, sources: Sequence[Source], answers: dict[str, Any]) -> pl.DataFrame:
    """Answers as a table: the recordings, the columns that were given, then the answers.

    Args:
        name: of the column of recordings; the one given stays where it is of that name.
        answers: columns; a given one of the same name becomes ``NAME_given``.
    """
    table: dict[str, Any] = {name: given[name] if name in given.columns else [str(source) for source in sources]}
    for column in given.columns:
        if column != name:
            table[f"{column}_given" if column in answers else column] = given[column]
    return pl.DataFrame({**table, **answers})


def labelled_files(X: Any, y: Any, rate: int) -> tuple[list[Source], list[str]]:
    """Recordings and what is said in each, which scikit-learn gives apart.

    Raises:
        InputError: there are not as many answers as recordings, or one is missing, or a file is not there.
    """
    sources, answers = inputs_of(X, rate).sources, list(y)
    if len(sources) != len(answers):
        raise InputError(f"{len(sources)} recordings in X, and {len(answers)} answers in y")
    for source, answer in zip(sources, answers, strict=True):
        if answer is None or (isinstance(answer, float) and math.isnan(answer)) or not str(answer).strip():
            raise InputError(f"{source}: has no answer in y, but {shown(answer)}")
    return sources, [str(answer) for answer in answers]


def read_sounds(
    sources: Sequence[Source],
    rate: int,
    show: bool = False,
    *,
    fitting: bool = False,
    noted: bool = True,
    channel: str = MEAN,
) -> Iterator[tuple[int, Samples]]:
    """The sound of recordings, each with its place among them.

    Those that cannot be read or are shorter than a frame are left out, and named on standard error at the end, and so
    is what is worth knowing of the others.

    Args:
        rate: samples a second that are wanted.
        show: whether to show a progress bar.
        fitting: whether they are to train on.
        noted: whether to say what is worth knowing; not of files that are read a second time.
        channel: of several that is taken, as `memfold.data.audio.channel_of` has it.

    Raises:
        InputError: none of them can be read.
    """
    broken: list[str] = []
    notes = SoundNotes(rate, fitting)
    for place, source in enumerate(followed(sources, "reading", show)):
        try:
            sound = read_sound(source, rate, before=partial(_say_long, source, rate), channel=channel)
            if len(sound.samples) < round(LENGTH * rate):
                raise InputError(f"{source}: shorter than {1000 * LENGTH:.0f} ms")
        except InputError as error:
            broken.append(_named(source, error))
            continue
        notes.add(str(source), sound)
        yield place, sound.samples
    leave_out(broken, len(sources), "recordings")
    if noted:
        notes.say()


def readable_rows(sources: Sequence[Source]) -> list[int]:
    """The places of the recordings that can be read, as far as their beginnings show, before they are split.

    The others are named on standard error.

    Raises:
        InputError: none of them can be read.
    """
    rows, broken = [], []
    for row, source in enumerate(sources):
        try:
            check_sound(source)
        except InputError as error:
            broken.append(_named(source, error))
        else:
            rows.append(row)
    leave_out(broken, len(sources), "recordings")
    return rows


def _named(source: Source, error: InputError) -> str:
    """A recording that cannot be read, with the reason."""
    name = str(source)
    return f"{name if len(name) < LONG_NAME else shown(name)} ({str(error).removeprefix(f'{name}: ')})"


def _say_long(source: Source, rate: int, seconds: float) -> None:
    if seconds > LONG:
        megabytes = 4 * rate * seconds / 1e6
        say(f"{source}: lasts {seconds / 60:.0f} minutes, {megabytes:.0f} MB of samples, and is read whole")


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
    if not features.is_fine_enough:
        raise InputError(f"bins must be fewer for a rate of {features.rate}, got {features.bins}")

"""Recordings of spoken commands: a folder for each command, or files whose names hold command and speaker."""

import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl

from memfold.data.audio import SUFFIXES, Source, path_of
from memfold.data.datasets import find
from memfold.data.folders import PARTS, files_at, files_below, is_folder, labelled_folders, split_folders
from memfold.data.folds import held_out_rows
from memfold.data.recording_copies import without_copies
from memfold.errors import InputError

__all__ = [
    "BACKGROUND",
    "OTHER",
    "Excerpt",
    "Recordings",
    "audio_files",
    "background_of",
    "joined",
    "load_fsdd",
    "parts_with_background",
    "read_commands",
    "split_at",
]

BACKGROUND = "_background_noise_"  # a folder of that name holds sound in which no command is spoken
OTHER = "other"  # what is no command
SPEAKERS = 5  # that must be known to hold some of them out
FILES = 10  # of background, from which on whole files are held out
FIELDS = {"label": r"(?P<label>.+?)", "speaker": r"(?P<speaker>.+?)", "index": r"\d+"}
SPEECH_COMMANDS = re.compile(r"(?P<speaker>.+)_nohash_\d+")  # Warden 2018, sec. 5.6
OFFICIAL_TEST = 5  # recordings of every speaker and digit, the first ones


@dataclass(frozen=True)
class Excerpt:
    """A share of a file, from ``begin`` to ``end``, 0 to 1."""

    path: Path
    begin: float = 0.0
    end: float = 1.0


@dataclass(frozen=True)
class Recordings:
    """Recordings of one command each.

    Attributes:
        name: of the source, for errors.
        paths: the files, or samples in their place.
        labels: what is said in each; "" where that is unknown.
        speakers: who says it; "" where that is unknown.
        background: sound in which no command is spoken.
        held: the files that a split's own folder names to validate on.
        given: the table that they stand in, a row a recording; empty without one.
    """

    name: str
    paths: Sequence[Source]
    labels: list[str]
    speakers: list[str]
    background: tuple[Excerpt, ...] = ()
    given: pl.DataFrame = field(default_factory=pl.DataFrame, compare=False)
    held: frozenset[Source] = field(default=frozenset(), kw_only=True)

    @property
    def classes(self) -> list[str]:
        """The distinct labels in order."""
        return sorted(set(self.labels))

    @classmethod
    def without_labels(cls, name: str, paths: Sequence[Source], given: pl.DataFrame | None = None) -> "Recordings":
        """Recordings of which nothing is known."""
        table = pl.DataFrame() if given is None else given
        return Recordings(name, list(paths), [""] * len(paths), [""] * len(paths), given=table)

    def take(self, rows: Sequence[int]) -> Self:
        """Some of the recordings, and all of the background."""
        return replace(
            self,
            paths=[self.paths[row] for row in rows],
            labels=[self.labels[row] for row in rows],
            speakers=[self.speakers[row] for row in rows],
            given=self.given[list(rows)] if self.given.width else self.given,
        )

    def require(self) -> None:
        """Raise InputError unless there are two commands, each with two recordings."""
        counts = Counter(self.labels)
        if len(counts) < 2:
            raise InputError(f"{self.name}: {next(iter(counts))!r} is the only command; two at least are needed")
        if few := sorted(label for label, count in counts.items() if count < 2):
            which = f"the command {few[0]!r} has" if len(few) == 1 else f"the commands {', '.join(map(repr, few))} have"
            raise InputError(
                f"{self.name}: {which} 1 recording; two are needed, to train on one and hold one out; record more, or "
                f"remove {'it' if len(few) == 1 else 'them'}"
            )

    def split(self, fold: int = 0, folds: int = 10, keys: Sequence[Hashable] = ()) -> tuple[Self, Self]:
        """What remains, and one of so many folds, in which every command has its share.

        Args:
            keys: of the recordings, equal where they are copies, which stay on one side; none without them.

        Raises:
            InputError: one command alone, or one with a single recording.
        """
        self.require()
        return self._parted(self._without_copies(held_out_rows(self.labels, fold, folds), keys))

    def split_as_named(self, keys: Sequence[Hashable] = ()) -> tuple[Self, Self]:
        """What a split's own folders name to train on and to validate on; one of ten folds where there are none."""
        rows = {row for row, path in enumerate(self.paths) if path in self.held}
        return self._parted(rows) if rows else self.split(keys=keys)

    def split_by_speaker(self, fold: int = 0, folds: int = 10, keys: Sequence[Hashable] = ()) -> tuple[Self, Self]:
        """The same with whole speakers held out where `SPEAKERS` are known; every command keeps one recording at least.

        Raises:
            InputError: one command alone, or one with a single recording.
        """
        self.require()
        speakers = sorted(set(self.speakers))
        if "" in speakers or len(speakers) < SPEAKERS:
            return self.split(fold, folds, keys)
        shuffled = np.random.default_rng(0).permutation(speakers).tolist()
        chosen = set(shuffled[fold % min(folds, len(speakers)) :: min(folds, len(speakers))])
        test = {row for row, speaker in enumerate(self.speakers) if speaker in chosen}
        kept = {label for row, label in enumerate(self.labels) if row not in test}
        if kept != set(self.labels):
            return self.split(fold, folds, keys)
        return self._parted(self._without_copies(test, keys))

    def hold_out(self, speaker: str) -> tuple[Self, Self]:
        """The other speakers' recordings, and a speaker's own.

        Raises:
            InputError: there is no such speaker, or nothing remains.
        """
        known = sorted(set(self.speakers) - {""})
        if speaker not in known:
            has = ", ".join(known) if known else "no speaker is known; name files with a pattern that holds {speaker}"
            raise InputError(f"{self.name}: no recording of the speaker {speaker!r}; known: {has}")
        rest, held = self._parted({row for row, other in enumerate(self.speakers) if other == speaker})
        if not rest.paths:
            raise InputError(f"{self.name}: {speaker!r} is the only speaker")
        return rest, held

    def _without_copies(self, test: set[int], keys: Sequence[Hashable]) -> set[int]:
        """The same in `without_copies`, as long as every command keeps a recording to train on."""
        apart = without_copies(test, keys or range(len(self.paths)))
        kept = {label for row, label in enumerate(self.labels) if row not in apart}
        return apart if kept == set(self.labels) else test

    def _parted(self, test: set[int]) -> tuple[Self, Self]:
        rest = self.take([row for row in range(len(self.paths)) if row not in test])
        held = self.take(sorted(test))
        training, kept = split_background(self.background)
        return (
            replace(rest, background=training, held=frozenset()),
            replace(held, background=kept, held=frozenset()),
        )


def split_background(background: Sequence[Excerpt], share: float = 0.2) -> tuple[tuple[Excerpt, ...], ...]:
    """What to learn from, and what to hold out: the last files, or where there are few, the end of each."""
    if len(background) >= FILES:
        kept = round(len(background) * (1 - share))
        return tuple(background[:kept]), tuple(background[kept:])
    cuts = [part.end - share * (part.end - part.begin) for part in background]
    return (
        tuple(replace(part, end=cut) for part, cut in zip(background, cuts, strict=True)),
        tuple(replace(part, begin=cut) for part, cut in zip(background, cuts, strict=True)),
    )


def joined(parts: Sequence[Recordings]) -> Recordings:
    """All recordings of several."""
    name = " ".join(part.name for part in parts)
    return Recordings(
        name,
        [path for part in parts for path in part.paths],
        [label for part in parts for label in part.labels],
        [speaker for part in parts for speaker in part.speakers],
        tuple(excerpt for part in parts for excerpt in part.background),
        held=frozenset(path for part in parts for path in part.held),
    )


def split_at(source: str | Path, pattern: str | None = None, background: str | Path | None = None) -> dict[str, Path]:
    """The folders that are the parts of a split, by `memfold.data.folders.PARTS`; nothing where a path is none.

    Args:
        pattern, background: as `read_commands` takes them.

    Raises:
        InputError: the folders may as well be commands of these names.
    """
    root = Path(source)
    if not is_folder(root) or (pattern is not None and "/" in pattern):
        return {}
    apart = [root / BACKGROUND, *([Path(background)] if background is not None else [])]
    return split_folders(root, SUFFIXES, "recordings", "command", flat=pattern is not None, apart=apart)


def parts_with_background(parts: Mapping[str, Recordings]) -> dict[str, Recordings]:
    """The parts of a split; those without background have a share of that to train on."""
    shared = dict(parts)
    for part in PARTS:
        if part in shared and "train" in shared and not shared[part].background:
            training, kept = split_background(shared["train"].background)
            shared["train"] = replace(shared["train"], background=training)
            shared[part] = replace(shared[part], background=kept)
    return shared


def read_commands(source: str | Path, pattern: str | None = None, background: str | Path | None = None) -> Recordings:
    """Find the recordings in a folder; the files are not opened.

    Args:
        source: a folder with a folder for each command, or with files that the pattern describes. Of the former, a
            folder ``_background_noise_`` is background, and names such as ``<speaker>_nohash_0.wav`` hold the speaker.
        pattern: how command, speaker and number make up a file's name without its suffix, as in
            ``{label}_{speaker}_{index}``; with the folders below ``source`` where it holds a ``/``.
        background: a folder or a file with sound in which no command is spoken.

    Raises:
        InputError: naming the folder or the file that does not fit.
    """
    root = path_of(source)
    if not root.is_dir():
        raise InputError(
            f"{root}: {'is a file; commands are' if root.exists() else 'no such folder; expected'} a folder "
            "of recordings"
        )
    noise = background_of(background)
    if (root / BACKGROUND).is_dir():
        noise += background_of(root / BACKGROUND)
    apart = {excerpt.path.resolve() for excerpt in noise}
    recordings = _by_folder(root, apart) if pattern is None else _by_pattern(root, pattern, apart)
    if not recordings:
        raise InputError(f"{root}: holds no audio files")
    paths, labels, speakers = (list(column) for column in zip(*recordings, strict=True))
    if OTHER in labels:
        raise InputError(f"{root}: {OTHER!r} is what a model calls background; give these files as --set background=")
    return Recordings(str(root), paths, labels, speakers, tuple(dict.fromkeys(noise)))


def background_of(source: str | Path | None) -> list[Excerpt]:
    """The whole of a file, or of every audio file in a folder; nothing where there is no background.

    Raises:
        InputError: there is nothing, or a folder without audio files.
    """
    return [] if source is None else [Excerpt(path) for path in audio_files(path_of(source))]


def load_fsdd(holdout: str | None = None, background: str | Path | None = None) -> tuple[Recordings, Recordings]:
    """The training and the test part of the Free Spoken Digit Dataset.

    The test part is the official one, the first five recordings of every digit by every speaker, or all recordings of
    a speaker who is held out.

    Raises:
        InputError: the files are not there, or there is no such speaker.
    """
    recordings = read_commands(find("fsdd") / "recordings", "{label}_{speaker}_{index}", background)
    everything = replace(recordings, name="@fsdd")
    if holdout is not None:
        return everything.hold_out(holdout)
    stems = [Path(str(path)).stem for path in everything.paths]
    test = {row for row, stem in enumerate(stems) if int(stem.rsplit("_", 1)[1]) < OFFICIAL_TEST}
    return everything._parted(test)


Found = tuple[Path, str, str]  # file, label, speaker


def audio_files(path: Path) -> list[Path]:
    """A file itself; of a folder, the audio files in it and below, in order.

    Raises:
        InputError: there is nothing, or a folder without any.
    """
    return files_at(path, SUFFIXES, "audio files")


def _by_folder(root: Path, apart: set[Path]) -> list[Found]:
    recordings = []
    for label, files in labelled_folders(root, SUFFIXES):
        for path in files:
            if label != BACKGROUND and path.resolve() not in apart:
                named = SPEECH_COMMANDS.fullmatch(path.stem)
                recordings.append((path, label, named["speaker"] if named else ""))
    if not recordings and files_below(root, SUFFIXES):
        raise InputError(
            f"{root}: expected a folder for each command; where the files' names hold it, say how: "
            "--set pattern={label}_{speaker}_{index}"
        )
    return recordings


def _by_pattern(root: Path, pattern: str, apart: set[Path]) -> list[Found]:
    form = _compiled(pattern)
    files = [
        path for path in files_below(root, SUFFIXES) if path.resolve() not in apart and BACKGROUND not in path.parts
    ]
    recordings, others = [], []
    for path in files:
        named = path.relative_to(root).with_suffix("").as_posix() if "/" in pattern else path.stem
        match = form.fullmatch(named)
        if match is None:
            others.append(path)
        else:
            groups = match.groupdict()
            recordings.append((path, groups["label"], groups.get("speaker", "")))
    if others:
        count = "no file's name" if not recordings else f"{len(others)} of {len(files)} names do not"
        fits = "has the form" if not recordings else "have the form"
        raise InputError(f"{root}: {count} {fits} {pattern}, such as {others[0].name}")
    return recordings


def _compiled(pattern: str) -> re.Pattern[str]:
    pieces = re.split(r"\{(.*?)\}", pattern)
    names = pieces[1::2]
    if "label" not in names or len(set(names)) < len(names) or not set(names) <= set(FIELDS):
        raise InputError(f"pattern {pattern!r}: expected {{label}} and optionally {{speaker}} and {{index}}, each once")
    return re.compile("".join(FIELDS[piece] if k % 2 else re.escape(piece) for k, piece in enumerate(pieces)))

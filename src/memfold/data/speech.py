"""Recordings and what is said in them: a manifest, which is a table of files and texts, or a known set."""

import csv
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PureWindowsPath
from typing import Any, Self

import numpy as np
import polars as pl

from memfold.data.audio import SUFFIXES, Source, head_of, path_of
from memfold.data.containers import container_of, looks_like_text
from memfold.data.datasets import find
from memfold.data.recording_copies import without_copies
from memfold.data.sources import read_table
from memfold.data.texts import read_lines
from memfold.display import say
from memfold.errors import InputError

__all__ = ["Utterances", "files_of_corpus", "is_manifest", "joined", "load_mboshi", "read_manifest", "read_manifests"]

AUDIO_NAMES = (
    "audio", "audio_filepath", "path", "file", "wav", "audio.path", "audio_path", "filename", "file_name", "wav_path"
)  # fmt: skip
TEXT_NAMES = ("text", "sentence", "transcript", "transcription", "wrd")
SPEAKER_NAMES = ("speaker", "speaker_id", "spk_id", "spk", "client_id")
TABLES = {".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".txt", ".gz"}
BESIDE = ("clips", "wavs", "wav", "audio")  # folders beside a manifest that recordings are in, as Common Voice's
EXAMPLE = (
    'expected a table with a header such as audio,text, or lines such as {"audio": "a/1.wav", "text": "good morning"}'
)
HELD_OUT = 20  # one in so many is held out to be scored, or to validate on
SPEAKERS = 5  # that must be known to hold some of them out
NAMED = 3  # rows that are left out, the first ones


@dataclass(frozen=True)
class Utterances:
    """Recordings with their texts.

    Attributes:
        name: of the manifest, for errors.
        audio: files, or samples.
        texts: as many, "" where they are unknown; runs of white space are one space.
        speakers: as many, who speaks; none where that is unknown.
        given: the table that they stand in, a row a recording; empty without one.
    """

    name: str
    audio: Sequence[Source]
    texts: list[str]
    speakers: list[str] = field(default_factory=list)
    given: pl.DataFrame = field(default_factory=pl.DataFrame, compare=False)

    def __len__(self) -> int:
        return len(self.audio)

    def take(self, rows: Sequence[int]) -> Self:
        """Some of the recordings."""
        return replace(
            self,
            audio=[self.audio[row] for row in rows],
            texts=[self.texts[row] for row in rows],
            speakers=[self.speakers[row] for row in rows] if self.speakers else [],
            given=self.given[list(rows)] if self.given.width else self.given,
        )

    def split(self, keys: Sequence[Hashable] = ()) -> tuple[Self, Self]:
        """Most of them, and a twentieth to hold out: recordings from all over, the same ones whenever asked.

        What is said in those is said in none of the others, so that a language model's help is not overrated; but where
        one text is that of more than a twentieth, texts are shared.

        Args:
            keys: of the recordings, equal where they are copies, which stay on one side; none without them.

        Raises:
            InputError: there are not two recordings.
        """
        if len(self) < 2:
            raise InputError(f"{self.name}: holds {len(self)} recording; too few to train on and to hold some out")
        count = -(-len(self) // HELD_OUT)
        by_text = dict[str, list[int]]()
        for row, text in enumerate(self.texts):
            by_text.setdefault(text, []).append(row)
        groups = list(by_text.values())
        if max(map(len, groups)) > count:
            groups = [[row] for row in range(len(self))]
        held: list[int] = []
        for group in np.random.default_rng(0).permutation(len(groups)).tolist():
            if len(held) >= count:
                break
            held += groups[group]
        return self._parted(without_copies(set(held), keys or range(len(self))))

    def split_by_speaker(self, keys: Sequence[Hashable] = ()) -> tuple[Self, Self]:
        """The same with whole speakers held out, where `SPEAKERS` are known and the few of them suffice.

        Raises:
            InputError: there are not two recordings.
        """
        counts = Counter(self.speakers)
        if "" in counts or len(counts) < SPEAKERS:
            return self.split(keys)
        held = set[str]()
        for speaker in np.random.default_rng(0).permutation(sorted(counts)).tolist():
            if HELD_OUT * sum(counts[name] for name in held) >= len(self):
                break
            if len(self) > 2 * (sum(counts[name] for name in held) + counts[speaker]):
                held.add(speaker)
        rows = {row for row, speaker in enumerate(self.speakers) if speaker in held}
        return self._parted(without_copies(rows, keys or range(len(self)))) if rows else self.split(keys)

    def _parted(self, held: set[int]) -> tuple[Self, Self]:
        return self.take([row for row in range(len(self)) if row not in held]), self.take(sorted(held))


def is_manifest(path: Path) -> bool:
    """Whether a file is a table of recordings rather than a recording, by its content, else by its name."""
    try:
        if not path.is_file() or path.suffix.lower() in SUFFIXES:
            return False
        head = head_of(path, str(path))
    except (OSError, ValueError):  # no such file, or a name that none can have
        return False
    container = container_of(head)
    if container is not None and container.sound:
        return False
    return path.suffix.lower() in TABLES or looks_like_text(head)


def joined(parts: Sequence[Utterances]) -> Utterances:
    """All recordings of several."""
    if len(parts) == 1:
        return parts[0]
    name = " ".join(part.name for part in parts)
    known = any(part.speakers for part in parts)
    speakers = [speaker for part in parts for speaker in part.speakers or [""] * len(part)] if known else []
    audio = [source for part in parts for source in part.audio]
    given = pl.concat([part.given for part in parts], how="diagonal_relaxed")
    return Utterances(name, audio, [text for part in parts for text in part.texts], speakers, given)


def read_manifests(paths: Sequence[str | Path]) -> Utterances:
    """Read several manifests, as `read_manifest`."""
    return joined([read_manifest(path) for path in paths])


def read_manifest(source: Any, *, texts: bool = True, quiet: bool = False) -> Utterances:
    """Read a manifest: a table of files and texts, of any dialect, such as lines of JSON.

    The column of files is called audio, audio_filepath, path, file or wav, that of texts text, sentence, transcript,
    transcription or wrd, that of speakers speaker, speaker_id, spk_id, spk or client_id. Without a header the column of
    files is that whose first value has the ending of one, and that of texts the only other one. A relative path starts
    at the manifest's folder. Rows without a file or a text are left out, and named on standard error.

    Args:
        source: a file that `read_table` reads, or a data frame.
        texts: whether there must be texts.
        quiet: to look whether it is a manifest, saying nothing.

    Raises:
        InputError: naming the manifest: it is none, has no such columns, or no row is complete.
    """
    folder = Path()
    if isinstance(source, str | Path):
        folder = Path(source).parent
        _refuse_other(path_of(source))
    table = read_table(source)
    audio = _texts_of(table.frame, AUDIO_NAMES)
    written = _texts_of(table.frame, TEXT_NAMES)
    if audio is None and table.separator in tuple(",;\t|") and _names_a_recording(table.frame.columns):
        table = read_table(source, header=False)
        titles = _without_header(table.frame)
        audio, written = (None if title is None else _texts_of(table.frame, [title]) for title in titles)
        if not quiet and written is not None:
            say(f"{table.name}: has no header; files are in {titles[0]}, texts in {titles[1]}")
    has = ", ".join(map(repr, table.frame.columns)) or "nothing"
    if audio is None:
        raise InputError(f"{table.name}: no column of recordings, such as 'audio'; it has {has}; {EXAMPLE}")
    if written is None and texts:
        raise InputError(f"{table.name}: no column of texts, such as 'text'; it has {has}; {EXAMPLE}")
    for note in () if quiet else table.notes:
        say(f"{table.name}: {note}")
    said = [" ".join(text.split()) for text in written] if written else [""] * len(audio)
    keep = [row for row, path in enumerate(audio) if path and (said[row] or not texts)]
    if len(keep) < len(audio):
        gone = [row for row in range(len(audio)) if row not in set(keep)]
        named = ", ".join(
            f"{table.row(row)} ({'its text is empty' if audio[row] else 'it names no recording'})"
            for row in gone[:NAMED]
        ) + (", ..." if len(gone) > NAMED else "")
        if not keep:
            raise InputError(f"{table.name}: no row names a recording{' and its text' * texts}: row {named}")
        if not quiet:
            say(f"{table.name}: {len(gone)} of {len(audio)} rows are left out: row {named}")
    if not keep:
        raise InputError(f"{table.name}: names no recordings")
    speakers = _texts_of(table.frame, SPEAKER_NAMES) or []
    files = [_resolved(folder, path) for path in audio]
    return Utterances(table.name, files, said, speakers, table.frame).take(keep)


def _refuse_other(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path}: a folder; {EXAMPLE}, in a file")
    container = container_of(head_of(path, str(path)))
    if container is not None and container.sound:
        raise InputError(f"{path}: a recording ({container.name}); {EXAMPLE}, in a file")


def _texts_of(frame: pl.DataFrame, names: Sequence[str]) -> list[str] | None:
    """The values of the columns of these names, in each row of the first that has one; None without such a column."""
    columns = {title.strip().lower(): title for title in reversed(frame.columns)}
    chosen = [frame[columns[name]] for name in names if name in columns]
    chosen = [column for column in chosen if not column.dtype.is_nested() and column.dtype != pl.Binary]
    if not chosen:
        return None
    values = [""] * frame.height
    for column in reversed(chosen):
        for row, value in enumerate(column.to_list()):
            if value is not None and str(value).strip():
                values[row] = str(value).strip()
    return values


def _names_a_recording(values: Sequence[Any]) -> bool:
    return any(PureWindowsPath(str(value).strip()).suffix.lower() in SUFFIXES for value in values)


def _without_header(frame: pl.DataFrame) -> tuple[str | None, str | None]:
    """The columns of files and of texts; None where there is none, or where several may be it."""
    audio = next((title for title in frame.columns if _names_a_recording(frame[title].head(1).to_list())), None)
    others = [title for title in frame.columns if title != audio]
    worded = [title for title in others if any(" " in str(value or "").strip() for value in frame[title].head(20))]
    return audio, others[0] if len(others) == 1 else worded[0] if len(worded) == 1 else None


def _resolved(folder: Path, path: str) -> Path:
    return files_of_corpus(folder, path, BESIDE) or folder / path


def files_of_corpus(folder: Path, written: str, beside: Sequence[str]) -> Path | None:
    """The recording that a list in a folder means: by its path, or by its name there or in one of the folders beside.

    A name without an ending is that of any recording.

    Args:
        written: a path, of whatever system.
        beside: names of folders.
    """
    plain = written.strip().replace("\\", "/")
    name = PureWindowsPath(plain).name
    places = [folder, *(folder / each for each in beside)]
    try:
        candidates = [folder / written, *(place / each for place in places for each in (plain, name))]
        if PureWindowsPath(name).suffix.lower() not in SUFFIXES:
            endings = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".WAV", ".FLAC", ".MP3", ".m4a")
            candidates += [place / f"{each}{end}" for place in places for each in (plain, name) for end in endings]
        return next((file for file in candidates if file.is_file()), None)
    except (OSError, ValueError):  # a name that no file can have
        return None


def load_mboshi() -> tuple[Utterances, Utterances]:
    """The training part of @mboshi, and ``dev_public``, its test part here.

    Raises:
        InputError: the set is not there, or a file of it.
    """
    folder = find("mboshi")
    return _mboshi(folder, "train"), _mboshi(folder, "dev_public")


def _mboshi(folder: Path, part: str) -> Utterances:
    path = folder / f"{part}.tsv"
    rows = list(csv.DictReader(read_lines(path), delimiter="\t", quoting=csv.QUOTE_NONE))
    audio = [folder / f"audio_{part}" / f"{row['id']}.opus" for row in rows]
    return Utterances(str(path), audio, [" ".join(row["mboshi_cleaned"].split()) for row in rows])

"""Recordings and what is said in them: a manifest in lines of JSON, or a known set."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from memfold.data.datasets import find
from memfold.data.texts import read_lines
from memfold.errors import InputError

__all__ = ["Utterances", "load_mboshi", "read_manifests"]

AUDIO_NAMES = ("audio", "audio_filepath", "path", "file", "wav")
TEXT_NAMES = ("text", "sentence", "transcript", "transcription")
HELD_OUT = 20  # one in so many is held out to be scored, or to validate on


@dataclass(frozen=True)
class Utterances:
    """Recordings with their texts.

    Attributes:
        name: of the manifest, for errors.
        audio: files.
        texts: as many, "" where they are unknown; runs of white space are one space.
    """

    name: str
    audio: list[Path]
    texts: list[str]

    def __len__(self) -> int:
        return len(self.audio)

    def take(self, rows: Sequence[int]) -> Self:
        """Some of the recordings."""
        return replace(self, audio=[self.audio[row] for row in rows], texts=[self.texts[row] for row in rows])

    def split(self) -> tuple[Self, Self]:
        """Most of them, and a twentieth to hold out: recordings from all over, the same ones whenever asked.

        What is said in those is said in none of the others, so that a language model's help is not overrated; but where
        one text is that of more than a twentieth, texts are shared.

        Raises:
            InputError: there are not two recordings.
        """
        if len(self) < 2:
            raise InputError(f"{self.name}: holds {len(self)} recording; too few to learn from and to hold some out")
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
        kept = set(held)
        return self.take([row for row in range(len(self)) if row not in kept]), self.take(sorted(held))


def read_manifests(paths: Sequence[str | Path]) -> Utterances:
    """Read manifests: lines such as ``{"audio": "a/1.wav", "text": "good morning"}``.

    The file may also be called audio_filepath, path, file or wav, and the text sentence, transcript or transcription. A
    relative path starts at the manifest's folder. Other keys are not read.

    Raises:
        InputError: naming the manifest and the line: not JSON, without a file or a text, or a file that is not there.
    """
    audio: list[Path] = []
    texts: list[str] = []
    for path in map(Path, paths):
        for number, line in enumerate(read_lines(path), start=1):
            if not line.strip():
                continue
            file, text = _entry(f"{path}, line {number}", line)
            audio.append(path.parent / file)
            texts.append(" ".join(text.split()))
            if not audio[-1].is_file():
                raise InputError(f"{path}, line {number}: there is no file {audio[-1]}")
            if not texts[-1]:
                raise InputError(f"{path}, line {number}: the text is empty")
    name = " ".join(map(str, paths))
    if not audio:
        raise InputError(f"{name}: names no recordings")
    return Utterances(name, audio, texts)


def _entry(where: str, line: str) -> tuple[str, str]:
    example = 'expected an object such as {"audio": "a/1.wav", "text": "good morning"}'
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where}: not readable as JSON ({error}); {example}") from None
    if not isinstance(row, dict):
        raise InputError(f"{where}: {example}")
    entry = []
    for names in (AUDIO_NAMES, TEXT_NAMES):
        values = [row[name] for name in names if isinstance(row.get(name), str)]
        if not values:
            has = ", ".join(map(repr, row)) or "nothing"
            raise InputError(f"{where}: no {names[0]!r} that is text; it has {has}; {example}")
        entry.append(values[0])
    return entry[0], entry[1]


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

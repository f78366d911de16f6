"""Sentences and their translations: two files of parallel lines, or a table with two columns."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from memfold.data.datasets import find
from memfold.data.texts import read_lines
from memfold.errors import InputError

__all__ = ["ParallelText", "load_multi30k", "load_tatoeba", "read_parallel"]

HELD_OUT = 1000  # sentences, or a tenth where there are fewer


@dataclass(frozen=True)
class ParallelText:
    """Sentences with their translations.

    Attributes:
        source, target: equally many sentences, none of them empty.
        skipped: pairs that were left out because a side was empty.
    """

    source: list[str]
    target: list[str]
    skipped: int = 0

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Self:
        """Pairs without the white space around them, and without those that have an empty side."""
        stripped = [(source.strip(), target.strip()) for source, target in pairs]
        kept = [pair for pair in stripped if all(pair)]
        return cls([s for s, _ in kept], [t for _, t in kept], len(stripped) - len(kept))

    def __len__(self) -> int:
        return len(self.source)

    def references(self) -> tuple[list[str], list[list[str]]]:
        """Every distinct source sentence, and all its translations."""
        translations: dict[str, list[str]] = {}
        for source, target in zip(self.source, self.target, strict=True):
            translations.setdefault(source, []).append(target)
        return list(translations), list(translations.values())

    def split(self) -> tuple[Self, Self]:
        """Most of it, and a part to hold out: a tenth of the distinct source sentences, at most 1,000, always the same.

        Raises:
            InputError: there are not two distinct sentences.
        """
        sources = sorted(set(self.source))
        if len(sources) < 2:
            raise InputError(f"{len(sources)} distinct sentence: too few to learn from and to hold some out")
        random.Random(0).shuffle(sources)
        held = set(sources[: min(HELD_OUT, -(-len(sources) // 10))])
        rest = [i for i, sentence in enumerate(self.source) if sentence not in held]
        part = [i for i, sentence in enumerate(self.source) if sentence in held]
        return self._take(rest, self.skipped), self._take(part, 0)

    def _take(self, index: Sequence[int], skipped: int) -> Self:
        return type(self)([self.source[i] for i in index], [self.target[i] for i in index], skipped)


def read_parallel(paths: Sequence[str | Path], source: str | None = None, target: str | None = None) -> ParallelText:
    """Read two files, a sentence a line, or one file with tabs between its columns; packed ones (``.gz``) too.

    Args:
        paths: the source's file and the translations', or one table.
        source, target: the table's columns by the names in its first line; when None, its first two columns, and the
            first line is a pair like the others.

    Raises:
        InputError: naming file and line: unequal numbers of lines, a line without its columns, bytes that are no text,
            a column that is not there, or nothing to read.
    """
    if len(paths) not in (1, 2):
        raise InputError(f"{len(paths)} files given; expected two with parallel lines, or one with columns")
    if len(paths) == 2:
        lines = [read_lines(path) for path in paths]
        if len(lines[0]) != len(lines[1]):
            counts = ", ".join(f"{path} has {len(side):,}" for path, side in zip(paths, lines, strict=True))
            raise InputError(f"unequal numbers of lines: {counts}; each line is to translate the one at its place")
        text = ParallelText.of(zip(*lines, strict=True))
    else:
        text = ParallelText.of(_columns(paths[0], source, target))
    if not len(text):
        raise InputError(f"{paths[0]}: has no pair of sentences in which both sides hold text")
    return text


def _columns(path: str | Path, source: str | None, target: str | None) -> list[tuple[str, str]]:
    lines = read_lines(path)
    if (source is None) != (target is None):
        raise InputError("source and target name the columns: give both, or neither for the first two columns")
    left, right, first = 0, 1, 0
    if source is not None and target is not None:
        header = [name.strip() for name in lines[0].split("\t")]
        for name in (source, target):
            if name not in header:
                raise InputError(f"{path}, line 1: no column {name!r}; there is {', '.join(header)}")
        left = header.index(source)
        right = header.index(target)
        first = 1
    pairs = []
    for number, line in enumerate(lines[first:], first + 1):
        cells = line.split("\t")
        if not line.strip():
            cells = [""] * (max(left, right) + 1)  # an empty line is a pair of empty sides
        if len(cells) <= max(left, right):
            wanted = max(left, right) + 1
            raise InputError(f"{path}, line {number}: {len(cells)} column{'s' * (len(cells) > 1)}, {wanted} expected")
        pairs.append((cells[left], cells[right]))
    return pairs


def load_multi30k(source: str | None, target: str | None) -> tuple[ParallelText, ParallelText, ParallelText]:
    """Multi30k's (Elliott et al. 2016) parts to train on, that of 2016 to score, and to validate on."""
    folder = find("multi30k")
    train, test, valid = (
        read_parallel([folder / f"{part}.{language}.gz" for language in (source or "en", target or "de")])
        for part in ("train", "test_2016_flickr", "val")
    )
    return train, test, valid


def load_tatoeba() -> tuple[ParallelText, ParallelText]:
    """Tatoeba's English sentences with their Chinese translations, to train on and to score."""
    return read_parallel([find("tatoeba-cmn-eng") / "cmn.txt"]).split()

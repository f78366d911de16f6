"""Word vectors in files: lines as GloVe, word2vec and fastText write them, or JSON with a list of numbers a word."""

import json
import mmap
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from memfold.data.texts import read_lines
from memfold.errors import InputError
from memfold.runtime.texts.tokens import tokens

__all__ = ["read_vectors"]

LONGEST = 400  # bytes of a word in JSON
_NAME = re.compile(rb'"((?:[^"\\]|\\.)+)"\s*:\s*$')
_DIMENSIONS = re.compile(rb'"dimensions"\s*:\s*(\d+)')


def read_vectors(path: str, texts: Sequence[str]) -> dict[str, Tensor]:
    """The vectors of those words that occur in texts, (E,) each.

    Raises:
        InputError: naming the line or the word that has not as many numbers as the first; no word of the texts is
            there.
    """
    wanted = {token for text in texts for token in tokens(text)}
    source = _in_json(path) if Path(path).suffix.lower() == ".json" else _in_lines(path)
    vectors: dict[str, Tensor] = {}
    width = 0
    for place, word, numbers in source:
        known = word.lower() in wanted and word.lower() not in vectors
        if width and not known:
            continue
        fields = numbers()
        width = width or len(fields)
        if len(fields) != width:
            raise InputError(f"{path}, {place}: {len(fields)} numbers after the word, expected {width}")
        if known:
            try:
                vectors[word.lower()] = torch.tensor([float(field) for field in fields])
            except ValueError:
                raise InputError(f"{path}, {place}: what follows {word!r} is not numbers") from None
    if not vectors:
        raise InputError(f"{path}: has none of the words of the texts")
    return vectors


def _in_lines(path: str) -> Iterator[tuple[str, str, Callable[[], Sequence[Any]]]]:
    """Where it stands, a word, and its numbers as they are written, when they are asked for."""
    for number, line in enumerate(read_lines(path), start=1):
        word, _, rest = line.rstrip().partition(" ")
        if number > 1 or " " in rest:  # word2vec and fastText begin with how many words and numbers there are
            yield f"line {number}", word, partial(rest.split, " ")


def _in_json(path: str) -> Iterator[tuple[str, str, Callable[[], Sequence[Any]]]]:
    """The same of JSON, without reading all of it into memory: these files hold hundreds of megabytes.

    Where the file gives its ``dimensions``, what a word has beyond so many numbers is left out.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        said = _DIMENSIONS.search(content, 0, 1000)
        dimensions = int(said[1]) if said else None
        end = -1
        while (begin := content.find(b"[", end + 1)) >= 0:
            name = _NAME.search(content[max(end + 1, begin - LONGEST) : begin])
            end = content.find(b"]", begin)
            if end < 0:
                raise InputError(f"{path}, byte {begin}: the list there has no end")
            if name and content[begin + 1 : begin + 2] in b"-0123456789 ":
                word: str = json.loads(b'"' + name[1] + b'"')
                yield f"byte {begin}", word, partial(_numbers, content[begin + 1 : end], dimensions)


def _numbers(written: bytes, dimensions: int | None) -> list[bytes]:
    return written.split(b",")[:dimensions]

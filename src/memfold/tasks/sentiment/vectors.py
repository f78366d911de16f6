"""Word vectors in text files: a word and its numbers a line, as GloVe, word2vec and fastText write them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from memfold.data.texts import read_lines
from memfold.errors import InputError
from memfold.tasks.sentiment.tokens import tokens

__all__ = ["read_vectors"]


def read_vectors(path: str, texts: Sequence[str]) -> dict[str, Tensor]:
    """The vectors of those words that occur in texts, (E,) each.

    Raises:
        InputError: naming the line that is not a word and numbers, or of another length than the first; no word of the
            texts is there.
    """
    wanted = {token for text in texts for token in tokens(text)}
    vectors: dict[str, Tensor] = {}
    width = 0
    for number, line in enumerate(read_lines(path), start=1):
        word, *fields = line.rstrip().split(" ")
        if number == 1 and len(fields) == 1:
            continue  # word2vec and fastText begin with how many words and numbers there are
        width = width or len(fields)
        if len(fields) != width:
            raise InputError(f"{path}, line {number}: {len(fields)} numbers after the word, expected {width}")
        if word.lower() in wanted and word.lower() not in vectors:
            try:
                vectors[word.lower()] = torch.tensor([float(field) for field in fields])
            except ValueError:
                raise InputError(f"{path}, line {number}: what follows {word!r} is not numbers") from None
    if not vectors:
        raise InputError(f"{path}: has none of the words of the texts")
    return vectors

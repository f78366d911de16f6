"""Text as token numbers and back: by the character, or by sentencepiece subwords. Both keep every line end."""

import io
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Characters", "Subwords", "Vocabulary"]

Tokens = NDArray[np.int64]
UNUSED = 0  # a code point that texts do not have
UNKNOWN = 0  # stands for whatever was not seen in training
SPACE = "\u2581"  # as sentencepiece writes it


class Vocabulary(Protocol):
    """Tokens of a text."""

    @property
    def size(self) -> int:
        """V."""

    def encode(self, text: str) -> Tokens:
        """The numbers ``(N,)`` of a text's tokens."""

    def decode(self, tokens: Tokens) -> str:
        """The text of some tokens."""

    def pieces(self, tokens: Iterable[int]) -> Iterator[str]:
        """The text of tokens, as they come."""

    @property
    def unknown(self) -> list[int]:
        """The tokens that stand for no text."""


class Characters:
    """A number for every character that occurs at least twice, and one for all others."""

    def __init__(self, characters: str) -> None:
        self.characters = characters
        self._points = np.array([UNUSED, *(ord(c) for c in characters)], np.uint32)  # sorted
        self._text = np.array(["\N{REPLACEMENT CHARACTER}", *characters])

    @classmethod
    def of(cls, text: str) -> "Characters":
        """Those of a text. What occurs once cannot be learned and teaches the model what to expect of the unknown."""
        return cls("".join(sorted(c for c, count in Counter(text).items() if count > 1)))

    @property
    def size(self) -> int:
        return len(self.characters) + 1

    def encode(self, text: str) -> Tokens:
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        at = np.searchsorted(self._points, points).clip(max=len(self._points) - 1)
        return np.where(self._points[at] == points, at, UNKNOWN).astype(np.int64)

    def decode(self, tokens: Tokens) -> str:
        return "".join(self._text[tokens])

    def pieces(self, tokens: Iterable[int]) -> Iterator[str]:
        return (str(self._text[token]) for token in tokens)

    @property
    def unknown(self) -> list[int]:
        return [UNKNOWN]


class Subwords:
    """Pieces of words, the most useful ones of a text (Kudo 2018), by sentencepiece."""

    def __init__(self, model: bytes) -> None:
        from sentencepiece import SentencePieceProcessor

        self.model = model
        self._pieces: Any = SentencePieceProcessor(model_proto=model)
        self._line_end = self._pieces.piece_to_id("\n")

    @classmethod
    def of(cls, text: str, size: int) -> "Subwords":
        """As many as asked for, fewer where a text has no more."""
        from sentencepiece import SentencePieceTrainer

        model = io.BytesIO()
        SentencePieceTrainer.train(
            sentence_iterator=iter(line for line in text.split("\n") if line),
            model_writer=model,
            vocab_size=size,
            hard_vocab_limit=False,
            character_coverage=0.9999,
            user_defined_symbols="\n",
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=False,
            bos_id=-1,
            eos_id=-1,
            minloglevel=2,
        )
        return cls(model.getvalue())

    @property
    def size(self) -> int:
        return int(self._pieces.vocab_size())

    def encode(self, text: str) -> Tokens:
        numbers: list[int] = []
        for line in self._pieces.encode(text.split("\n")):
            numbers += [*line, self._line_end]
        return np.array(numbers[:-1], np.int64)

    def decode(self, tokens: Tokens) -> str:
        return str(self._pieces.decode(tokens.tolist()))

    def pieces(self, tokens: Iterable[int]) -> Iterator[str]:
        return (str(self._pieces.id_to_piece(token)).replace(SPACE, " ") for token in tokens)

    @property
    def unknown(self) -> list[int]:
        return [int(self._pieces.unk_id())]

"""Sentences as ids of subwords or characters, by sentencepiece."""

import io
from collections.abc import Iterable
from typing import Literal

from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from memfold.runtime.writing.pieces import with_pieces

__all__ = ["BEGIN", "END", "UNKNOWN", "SentencePieceProcessor", "Units", "learn_subwords", "with_pieces_of"]

UNKNOWN, BEGIN, END = 0, 1, 2  # ids in every vocabulary
Units = Literal["subword", "character"]


def learn_subwords(sentences: Iterable[str], size: int, units: Units, *, generated: bool) -> SentencePieceProcessor:
    """Learn to cut sentences (Kudo 2018, the unigram model).

    Args:
        size: V, at most; fewer where the sentences do not yield as many, and all that there are of characters.
        units: subwords, or single characters, for writing without spaces.
        generated: whether the sentences are to be written by the model; they are then kept as they stand, while what is
            only read is normalised (NFKC: full-width letters become plain ones).
    """
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        vocab_size=size,
        model_type="char" if units == "character" else "unigram",
        hard_vocab_limit=False,
        use_all_vocab=units == "character",
        character_coverage=1.0,
        add_dummy_prefix=units == "subword",  # the mark of a word's beginning
        normalization_rule_name="identity" if generated else "nmt_nfkc",
        unk_id=UNKNOWN,
        bos_id=BEGIN,
        eos_id=END,
        num_threads=1,  # the same subwords in every run
        minloglevel=2,
    )
    return SentencePieceProcessor(model_proto=model.getvalue())


def with_pieces_of(before: SentencePieceProcessor, fresh: SentencePieceProcessor) -> SentencePieceProcessor:
    """What an earlier model cuts as before, and what holds characters that are new to it."""
    pieces = with_pieces(before.serialized_model_proto(), fresh.serialized_model_proto())
    return SentencePieceProcessor(model_proto=pieces)

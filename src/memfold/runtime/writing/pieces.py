"""A sentencepiece model with more pieces, after those that it has."""

import struct

__all__ = ["with_pieces"]


def with_pieces(old: bytes, new: bytes) -> bytes:
    """A model of subwords, and after its pieces those of another one that hold a character which it does not know.

    What it knows is cut as before. A stored model is a protocol buffer, in which a list goes on when more entries of
    its number follow: number 1 is the pieces, each of a text (1) and a score (2).
    """
    from sentencepiece import SentencePieceProcessor

    before, fresh = (SentencePieceProcessor(model_proto=model) for model in (old, new))
    plain = [place for place in range(before.vocab_size()) if not _is_special(before, place)]
    known = set("".join(before.id_to_piece(place) for place in plain))
    added = b""
    for place in range(fresh.vocab_size()):
        piece = fresh.id_to_piece(place)
        if not _is_special(fresh, place) and set(piece) - known:
            text = piece.encode()
            entry = b"\x0a" + _length(len(text)) + text + b"\x15" + struct.pack("<f", fresh.get_score(place))
            added += b"\x0a" + _length(len(entry)) + entry
    return old + added


def _is_special(processor: object, place: int) -> bool:
    """Whether a piece stands for no text."""
    return bool(processor.is_control(place) or processor.is_unknown(place) or processor.is_unused(place))  # type: ignore[attr-defined]


def _length(count: int) -> bytes:
    """A number as protocol buffers write it, seven bits a byte."""
    parts = []
    while count > 127:
        parts.append(count & 127 | 128)
        count >>= 7
    return bytes([*parts, count])

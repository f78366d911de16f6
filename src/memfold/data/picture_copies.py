"""Pictures that are there twice: the same pixels on both sides of a split."""

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from memfold.data.seen import Seen
from memfold.display import say

__all__ = ["fingerprint", "kept_together", "remembered", "say_copies", "say_trained_on"]

NAMED = 5  # pairs
MOST_REMEMBERED = 1 << 14  # pictures, in a model's configuration
MOST_TOGETHER = 4  # copies that are held out together; of more, all are trained on


def fingerprint(pixels: NDArray[np.generic]) -> bytes:
    """Of a picture ``(C, H, W)``: the same for the same pixels, in grey as in three equal colours."""
    grey = len(pixels) == 3 and bool((pixels == pixels[:1]).all())
    content = np.ascontiguousarray(pixels[:1] if grey else pixels)
    head = f"{content.dtype.str}{content.shape}".encode()
    return hashlib.blake2b(head + content.tobytes(), digest_size=16).digest()


def kept_together(held: set[int], prints: Sequence[bytes], labels: Sequence[str]) -> set[int]:
    """Rows that are held out, changed so that copies of a picture are on one side.

    A few copies are held out together, where their classes keep other pictures; of others, all are trained on. Where
    nothing would be left to hold out, the rows stay as they are.
    """
    groups: dict[bytes, list[int]] = {}
    for row, fingerprint_ in enumerate(prints):
        groups.setdefault(fingerprint_, []).append(row)
    chosen = set(held)
    left = Counter(label for row, label in enumerate(labels) if row not in held)
    for rows in groups.values():
        inside = [row for row in rows if row in held]
        if not inside or len(inside) == len(rows):
            continue
        outside = Counter(labels[row] for row in rows if row not in held)
        if len(rows) <= MOST_TOGETHER and all(left[label] > count for label, count in outside.items()):
            chosen.update(rows)
            left.subtract(outside)
        else:
            chosen.difference_update(inside)
            left.update(labels[row] for row in inside)
    return chosen or held


def say_copies(
    files: Sequence[str], prints: Sequence[bytes], others: Sequence[str], other_prints: Sequence[bytes], what: str
) -> int:
    """Name the pictures of a part that are among those of another one as well; returns how many there are.

    Args:
        files, prints: of the part that is scored or validated on.
        others, other_prints: of the part that is trained on.
        what: the former are, such as ``images to score``.
    """
    places = dict(zip(other_prints, others, strict=True))
    pairs = [(file, places[own]) for file, own in zip(files, prints, strict=True) if own in places]
    if pairs:
        named = ", ".join(f"{file} = {other}" for file, other in pairs[:NAMED])
        more = f" and {len(pairs) - NAMED:,} more" if len(pairs) > NAMED else ""
        say(
            f"{len(pairs):,} of {len(files):,} {what} are among those to train on too, pixel by pixel, so that the "
            f"score flatters: {named}{more}"
        )
    return len(pairs)


def remembered(prints: Sequence[bytes]) -> str:
    """The pictures that a model is fitted to, as its configuration holds them: by hashes."""
    return str(Seen.of((print_.hex() for print_ in prints), MOST_REMEMBERED))


def say_trained_on(name: str, prints: Sequence[bytes], seen: str) -> None:
    """Say how many pictures to score are among those that a model was fitted to, as `remembered` gave them."""
    known, looked_up = Seen.parse(seen).among([print_.hex() for print_ in prints])
    if known:
        say(
            f"{name}: {known:,} of {looked_up:,} images are among those that the model was fitted to or validated on; "
            "the scores flatter it"
        )

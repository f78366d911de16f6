"""Pictures of more than eight bits: what becomes black and what white, by a robust range of their numbers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["COVERED", "COVERED_BESIDE", "Deep", "Tones", "bytes_of", "tones_of", "words_of"]

Tones = dict[str, list[float]]  # of each kind of numbers what becomes black, and where white begins
PERCENTILES = (0.1, 99.9)
SAMPLED = 100_000  # numbers of an image that are looked at
COVERED = 0.5  # of a usual range, from which on the numbers are taken to be in it
COVERED_BESIDE = 0.1  # the same beside pictures of bytes, whose contrast theirs must be like
USUAL_WHOLE = (256.0, 1024.0, 4096.0, 16384.0, 65536.0)  # 8, 10, 12, 14 and 16 bits
USUAL_FLOAT = (1.0, 256.0)


@dataclass(frozen=True)
class Deep:
    """A picture of other numbers than bytes.

    Attributes:
        kind: of numbers: ``16-bit``, ``32-bit`` or ``float``.
        values: as they are in the file, (C, H, W).
    """

    kind: str
    values: NDArray[np.float32]


def tones_of(pictures: Iterable[Deep], covered: float = COVERED) -> Tones:
    """What becomes black and white of each kind of numbers that some pictures have.

    It is the usual range of the kind, such as 0 to 1 of floats or 0 to 4095 of whole numbers, where the pictures cover
    half of it, and else from their lowest number to their highest one, a thousandth at either end left aside.

    Args:
        covered: what share of a usual range must be.
    """
    samples: dict[str, list[NDArray[np.float32]]] = {}
    for picture in pictures:
        numbers = picture.values[np.isfinite(picture.values)]
        samples.setdefault(picture.kind, []).append(numbers[:: 1 + numbers.size // SAMPLED])
    return {kind: _range(kind, np.concatenate(numbers), covered) for kind, numbers in sorted(samples.items())}


def _range(kind: str, numbers: NDArray[np.float32], covered: float) -> list[float]:
    if not numbers.size:
        return [0.0, 1.0]
    low, high = (float(bound) for bound in np.percentile(numbers.astype(np.float64), PERCENTILES))
    for white in USUAL_FLOAT if kind == "float" else USUAL_WHOLE:
        reaches = high <= white if kind == "float" else high < white
        if low >= 0 and reaches:
            if high - low >= covered * white:
                return [0.0, white]
            break
    return [low, high if high > low else low + 1.0]


def bytes_of(picture: Deep, tones: Mapping[str, Sequence[float]]) -> NDArray[np.uint8]:
    """The picture in bytes, (C, H, W); a kind of numbers without tones has a usual range that holds them."""
    black, white = (tones if picture.kind in tones else tones_of([picture], covered=0))[picture.kind]
    numbers = np.nan_to_num(picture.values.astype(np.float64), nan=black, posinf=white, neginf=black)
    return np.clip(np.floor((numbers - black) * 256 / (white - black)), 0, 255).astype(np.uint8)


def words_of(tones: Mapping[str, Sequence[float]]) -> str:
    """Which numbers become black and white, for a person.

    >>> words_of({"16-bit": [99.0, 193.0], "float": [0.0, 1.0]})
    '16-bit: 99 becomes black and 193 white; float: 0 becomes black and 1 white'
    """
    return "; ".join(
        f"{kind}: {black:.5g} becomes black and {white:.5g} white" for kind, (black, white) in tones.items()
    )

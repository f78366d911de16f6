"""Whether images mean the same when they are mirrored, by asking a plain classifier of edges."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from memfold.tasks.vision.kernel import EDGES, KernelMachine

__all__ = ["SIDE", "left_to_right", "quarter_turned", "unchanged_by", "upside_down"]

SIDE = 32  # pixels that are enough to look at
MOST_IMAGES = 600

Pixels = NDArray[np.uint8]


def left_to_right(pixels: Pixels) -> Pixels:
    """Images ``(N, C, S, S)`` with left and right exchanged."""
    return np.ascontiguousarray(pixels[..., ::-1])


def upside_down(pixels: Pixels) -> Pixels:
    """Images ``(N, C, S, S)`` with up and down exchanged."""
    return np.ascontiguousarray(pixels[..., ::-1, :])


def quarter_turned(pixels: Pixels) -> Pixels:
    """Images ``(N, C, S, S)`` on their side."""
    return np.ascontiguousarray(np.rot90(pixels, axes=(2, 3)))


def unchanged_by(
    changes: Sequence[Callable[[Pixels], Pixels]], pixels: Pixels, labels: NDArray[np.int64], classes: int
) -> list[bool]:
    """Whether images ``(N, C, S, S)`` of classes by number, ``(N,)``, are taken for the same after each change.

    The classifier is fitted to half of them. What it knows of the others as they are it must also know of them changed;
    where it does not, that may be chance, as of coins (McNemar 1947), by two standard deviations.
    """
    order = np.random.default_rng(0).permutation(len(pixels))[:MOST_IMAGES]
    known, asked = order[::2], order[1::2]
    if not len(asked):
        return [False for _ in changes]
    machine, _ = KernelMachine.fit(pixels[known], labels[known], classes, EDGES)

    def right(shown: Pixels) -> NDArray[np.bool_]:
        return np.asarray(machine.log_probabilities(shown).argmax(1) == labels[asked])

    plain = right(pixels[asked])
    alike = []
    for change in changes:
        other = right(change(pixels[asked]))
        lost, won = int((plain & ~other).sum()), int((other & ~plain).sum())
        alike.append(lost - won <= 2 * (lost + won) ** 0.5)
    return alike

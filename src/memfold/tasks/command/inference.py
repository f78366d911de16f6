"""What a fitted network makes of whole recordings, offline."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from memfold.data.features import SHIFT
from memfold.tasks.bucketing import by_size
from memfold.tasks.command.network import CommandNetwork, padded, pooled
from memfold.tasks.command.spotting import log_ratios, smoothed
from memfold.tasks.speech.warp import warped

__all__ = ["Hearing", "between_quiet", "heard_by", "logits_of", "smoothed_of"]

ROWS = 128  # at once
AROUND = 0.5  # seconds of quiet before and after a recording that is looked for as in a stream

WARPS = (0.9, 0.95, 1.0, 1.05, 1.1)  # of the frequencies: accuracy on unheard speakers rose by 0.6 to 2 points

Frames = Sequence[NDArray[np.floating[Any]]]


@dataclass(frozen=True)
class Hearing:
    """What a network makes of recordings.

    Attributes:
        log_p: of every command, (S, K).
        none: the probability of other sound, (S,).
    """

    log_p: NDArray[np.float64]
    none: NDArray[np.float64]


@torch.no_grad()
def logits_of(network: CommandNetwork, rows: Frames) -> list[NDArray[np.float32]]:
    """Of every recording's frames ``(T, M)``, the logits ``(T', K + 1)``."""
    network.eval()
    results: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(rows)
    for block in by_size([len(row) for row in rows], ROWS):
        logits, steps = network(*padded([rows[row] for row in block]))
        for row, row_logits, count in zip(block, logits, steps.tolist(), strict=True):
            results[row] = row_logits[:count].numpy()
    return results


def heard_by(network: CommandNetwork, rows: Frames) -> Hearing:
    """What a network makes of whole recordings, averaged over voices of other vocal tracts.

    The commands' log-probabilities are pooled over the steps; other sound has what the likeliest step leaves.
    """
    pooled_ones, none = [], []
    for factor in WARPS:
        voiced = [warped(np.asarray(row, np.float32), factor) for row in rows]
        every = [torch.from_numpy(logits) for logits in logits_of(network, voiced)]
        inside = [torch.ones(1, len(logits), dtype=torch.bool) for logits in every]
        pooled_ones.append(
            [pooled(logits[None], steps)[0].double().numpy() for logits, steps in zip(every, inside, strict=True)]
        )
        none.append([float(logits.double().softmax(-1)[:, -1].min()) for logits in every])
    mean = np.mean(pooled_ones, 0)
    return Hearing(mean - np.log(np.exp(mean).sum(1, keepdims=True)), np.mean(none, 0))


def smoothed_of(network: CommandNetwork, rows: Frames, window: int) -> list[NDArray[np.float32]]:
    """Of every recording, the commands' log ratios averaged over the last ``window`` steps, (T', K)."""
    return [smoothed(log_ratios(logits), window) for logits in logits_of(network, rows)]


def between_quiet(rows: Sequence[NDArray[np.float16]]) -> list[NDArray[np.float16]]:
    """Recordings' frames as a stream would have them, with their own quiet before and after."""
    count = round(AROUND / SHIFT)
    quiet = [np.tile(np.quantile(row, 0.05, 0).astype(np.float16), (count, 1)) for row in rows]
    return [np.concatenate([around, row, around]) for around, row in zip(quiet, rows, strict=True)]

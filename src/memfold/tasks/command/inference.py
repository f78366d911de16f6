"""What a fitted network makes of whole recordings, offline."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from memfold.data.features import SHIFT
from memfold.tasks.bucketing import by_size
from memfold.tasks.command.network import CommandNetwork, padded, pooled
from memfold.tasks.command.spotting import log_ratios, smoothed

__all__ = ["between_quiet", "logits_of", "probabilities_of", "smoothed_of"]

ROWS = 128  # at once
AROUND = 0.5  # seconds of quiet before and after a recording that is looked for as in a stream

Frames = Sequence[NDArray[np.floating[Any]]]


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


def probabilities_of(network: CommandNetwork, rows: Frames, other: bool) -> NDArray[np.float64]:
    """The probability of every class for every recording, (S, K), or (S, K + 1) with other sound last.

    The commands' are pooled over the steps; other sound has what the likeliest step leaves.
    """
    result = []
    for array in logits_of(network, rows):
        logits = torch.from_numpy(array)
        row = pooled(logits[None], torch.ones(1, len(logits), dtype=torch.bool))[0].double().exp()
        if other:
            none = logits.double().softmax(-1)[:, -1:].amin(0)
            row = torch.cat([row * (1 - none), none])
        result.append(row.numpy())
    return np.stack(result)


def smoothed_of(network: CommandNetwork, rows: Frames, window: int) -> list[NDArray[np.float32]]:
    """Of every recording, the commands' log ratios averaged over the last ``window`` steps, (T', K)."""
    return [smoothed(log_ratios(logits), window) for logits in logits_of(network, rows)]


def between_quiet(rows: Sequence[NDArray[np.float16]]) -> list[NDArray[np.float16]]:
    """Recordings' frames as a stream would have them, with their own quiet before and after."""
    count = round(AROUND / SHIFT)
    quiet = [np.tile(np.quantile(row, 0.05, 0).astype(np.float16), (count, 1)) for row in rows]
    return [np.concatenate([around, row, around]) for around, row in zip(quiet, rows, strict=True)]

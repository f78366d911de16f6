"""What a fitted network makes of whole recordings; of long ones in parts, cut where it is quietest."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.hearing.level import parted
from memfold.tasks.transcribe.batches import log_probabilities
from memfold.tasks.transcribe.network import AcousticNetwork

__all__ = ["log_p_of"]


def log_p_of(
    network: AcousticNetwork, recordings: Sequence[NDArray[np.floating[Any]]], most: int
) -> list[NDArray[np.float32]]:
    """Of each recording's frames ``(T, M)``, the log-probabilities ``(S, 1 + V)``.

    Args:
        most: frames of a part that is read at once.
    """
    parts, least, owners = [], [], []
    for owner, frames in enumerate(recordings):
        for cut, level in parted(frames, most):
            parts.append(frames[cut])
            least.append(level)
            owners.append(owner)
    network.eval()
    found: list[list[NDArray[np.float32]]] = [[] for _ in recordings]
    for owner, log_p in zip(owners, log_probabilities(network, parts, least), strict=True):
        found[owner].append(log_p.numpy())
    return [np.concatenate(steps) for steps in found]

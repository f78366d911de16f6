"""What the recipes of the tasks that hear have in common: sound as an example, frames of a hop, and what is said of
both."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from memfold.data.features import LogMel
from memfold.runtime.recipe import Part
from memfold.tasks.speech.sound_in import MelFrames

__all__ = ["SOUND_AXES", "front_of", "hop_of", "sound_of", "sounds"]

SOUND_AXES = {"samples": {0: "batch", 1: "samples"}, "lengths": {0: "batch"}}


def sounds(lengths: Sequence[int]) -> dict[str, Any]:
    """An example: noise that grows louder, in rows of so many samples, ``samples (B, N)`` and ``lengths (B,)``."""
    generator = torch.Generator().manual_seed(0)
    most = max(lengths)
    samples = 0.2 * torch.randn(len(lengths), most, generator=generator) * torch.linspace(0, 1, most)
    return {"samples": samples, "lengths": torch.tensor(lengths)}


def sound_of(features: LogMel) -> dict[str, Any]:
    """What a caller must know of the samples: full scale is 1, and a recording has a frame at least."""
    return {"rate": features.rate, "channels": 1, "full_scale": 1.0, "least_samples": features.length}


class Hop(nn.Module):
    """The frames of one step of a stream."""

    def __init__(self, features: LogMel, frames: int) -> None:
        super().__init__()
        self.mel, self.frames = MelFrames(features), frames

    def forward(self, samples: Tensor) -> Tensor:
        """Frames ``(B, R, M)`` of just as many samples as they look at."""
        return self.mel.of_cut(self.mel.cut(samples, self.frames))


def hop_of(features: LogMel, frames: int) -> dict[str, int]:
    """Of a step of a stream: samples by which it goes on, and those that it looks at, from where it begins."""
    hop = frames * features.shift
    return {"frames": frames, "hop": hop, "window": hop - features.shift + features.length}


def front_of(features: LogMel, frames: int) -> Part:
    """The part ``front`` of a step: samples to so many frames."""
    size = hop_of(features, frames)["window"]
    inputs, *others = ({"samples": sounds([size] * batch)["samples"]} for batch in (3, 1))
    return Part("front", Hop(features, frames), inputs, {"samples": {0: "batch"}}, ("frames",), others=others)

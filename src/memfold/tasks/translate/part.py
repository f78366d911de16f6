"""A translator whose encoder and decoder exported parts compute; torch's tensors at the border."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from memfold.runtime.recipe import Run
from memfold.tasks.translate.network import DecoderState, Memory

__all__ = ["PartTranslation"]


@dataclass(frozen=True)
class PartTranslation:
    """An encoder and a decoder, as `memfold.tasks.translate.search.Searched` has them.

    Attributes:
        encoder, decoder: with the inputs and outputs of `memfold.tasks.translate.recipe`.
        layers: of the decoder.
    """

    encoder: Run
    decoder: Run
    layers: int

    def encode(self, source: Tensor, lengths: Tensor) -> Memory:
        """Read the source, (B, S) subwords of which each row has ``lengths``."""
        outputs = _ran(self.encoder, source=source, lengths=lengths)
        return Memory(outputs["values"], outputs["padding"], outputs["first"][0])

    def begin(self, memory: Memory) -> DecoderState:
        """The decoder's state before the first word."""
        return DecoderState.after(memory, self.layers)

    def step(self, memory: Memory, words: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState, Tensor]:
        """As the network's own."""
        (h, c), (upper_h, upper_c) = state.first, state.upper
        states = {"h": h, "c": c, "upper_h": upper_h, "upper_c": upper_c}
        outputs = _ran(self.decoder, values=memory.values, padding=memory.padding, words=words, **states)
        after = [outputs[f"{name}_next"] for name in states]
        return (
            outputs["log_probabilities"],
            DecoderState((after[0], after[1]), (after[2], after[3])),
            outputs["attention"],
        )


def _ran(run: Run, **inputs: Tensor) -> dict[str, Any]:
    outputs = run(**{name: value.contiguous().numpy() for name, value in inputs.items()})
    return {name: torch.from_numpy(value) for name, value in outputs.items()}

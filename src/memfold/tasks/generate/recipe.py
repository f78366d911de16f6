"""A generator for other programs: tokens to logits, the state of every layer going in and out."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from memfold.formats.directory import TOKENS
from memfold.runtime.recipe import Part, Recipe
from memfold.runtime.writing.writing import LENGTH, TEMPERATURE
from memfold.tasks.generate.network import LanguageModel

if TYPE_CHECKING:
    from memfold.tasks.generate.task import TextGenerator

__all__ = ["recipe"]


class Written(nn.Module):
    """Logits of every next token, and the state after them."""

    def __init__(self, network: LanguageModel) -> None:
        super().__init__()
        self.network = network

    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits ``(T, B, V)`` from tokens ``(T, B)`` and a state of all layers ``(L, B, H)``, and the state after."""
        logits, after = self.network(tokens, list(zip(h[:, None].unbind(), c[:, None].unbind(), strict=True)))
        return logits, torch.cat([h for h, _ in after]), torch.cat([c for _, c in after])


def recipe(task: "TextGenerator") -> Recipe:
    """The network; the vocabulary and the draws are left to the caller, and the n-gram model is left out."""
    network, vocabulary = task.network_, task.vocabulary_
    size = network.size

    def given(steps: int, batch: int) -> dict[str, Any]:
        h, c = torch.randn(2, size.num_layers, batch, size.hidden_size).tanh()
        return {"tokens": torch.randint(size.vocabulary, (steps, batch)), "h": h, "c": c}

    free = {"tokens": {0: "time", 1: "batch"}, "h": {1: "batch"}, "c": {1: "batch"}}
    outputs, state = ("logits", "h_next", "c_next"), {"h_next": "h", "c_next": "c"}
    module = Written(network)
    whole = Part("model", module, given(7, 3), free, outputs, state, [given(12, 2), given(1, 1)])
    step = Part("model", module, given(1, 3), {**free, "tokens": {1: "batch"}}, outputs, state, [given(1, 1)])
    around: dict[str, Any] = {
        "start": vocabulary.encode(task.writing.beginning()).tolist(),
        "draws": {"temperature": TEMPERATURE, "length": LENGTH, "never": vocabulary.unknown},
    }
    if task.characters_ is not None:  # a character's number is its place among them and one
        around = {"characters": {"text": task.characters_, "first": 1, "unknown": vocabulary.unknown[0]}, **around}
    else:
        line_end = int(vocabulary.encode("\n\n")[0])
        around = {"subwords": {"file": TOKENS, "between_lines": line_end, "unknown": vocabulary.unknown[0]}, **around}
    left = []
    if task.share_ > 0:
        left.append(
            f"the {task.mixture_.ngram.order}-gram model, whose share in the probabilities is {task.share_:.0%}"
        )
    return Recipe(task.name, [whole], around, task.fitted_files(), [step], left_out=left)

"""The language model: embedding, LSTM layers, and a head that gives the logits of the token that follows.

What keeps it from learning small texts by heart is that of AWD-LSTM (Merity, Keskar & Socher 2018): dropout with one
mask for all steps of a window (Gal & Ghahramani 2016), dropped hidden-to-hidden weights (Wan et al. 2013), and one
matrix for embedding and head.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memfold.nn import LSTM
from memfold.nn.dropout import dropout
from memfold.tasks.generate.stored import StoredNGram

__all__ = ["LanguageModel", "ModelSize", "State"]

State = Sequence[tuple[Tensor, Tensor]]  # (h, c), (1, B, H) each, of every layer


@dataclass(frozen=True)
class ModelSize:
    """The sizes of a language model.

    Attributes:
        tied: the head's matrix is the embedding's.
        coupled: the layers' forget gate is 1 - i.
        dropout: on the embeddings, between layers and before the head.
        weight_drop: on the hidden-to-hidden weights.
    """

    vocabulary: int
    embedding_size: int
    hidden_size: int
    num_layers: int
    dropout: float
    weight_drop: float
    tied: bool
    coupled: bool


class LanguageModel(nn.Module):
    """Reads tokens and gives the logits of each next one.

    Attributes:
        ngram: the model that its answer is mixed with, once it is trained.
    """

    ngram: StoredNGram

    def __init__(self, size: ModelSize) -> None:
        super().__init__()
        self.size = size
        # Tokens to features.
        self.embedding = nn.Embedding(size.vocabulary, size.embedding_size)
        nn.init.normal_(self.embedding.weight, std=size.embedding_size**-0.5 if size.tied else 1.0)
        # The recurrent layers, one above another.
        inputs = [size.embedding_size] + [size.hidden_size] * (size.num_layers - 1)
        self.layers = nn.ModuleList([LSTM(width, size.hidden_size, coupled=size.coupled) for width in inputs])
        # From the last h to the features whose products with a matrix are the logits; of a tied model these are the
        # embedding's features and its matrix.
        self.projection = nn.Linear(size.hidden_size, size.embedding_size) if size.tied else None
        self.output = None if size.tied else nn.Parameter(nn.Linear(size.hidden_size, size.vocabulary).weight.detach())
        self.bias = nn.Parameter(torch.zeros(size.vocabulary))

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """The logits ``(T, B, V)`` of what follows each of the tokens ``(T, B)``, and the state after them."""
        features, last = self.features(tokens, state)
        return F.linear(features, self.weight, self.bias), last

    def features(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """What the logits are made from, ``(T, B, F)``, and the state after the tokens ``(T, B)``."""
        x = self._dropped(self.embedding(tokens))  # (T, B, E)
        # Through the layers, each of which goes on from its own state.
        last = []
        for k, layer in enumerate(self.recurrent()):
            x, layer_state = self._fold(layer, x, None if state is None else state[k])
            x = self._dropped(x)  # (T, B, H)
            last.append(layer_state)
        return x if self.projection is None else self.projection(x), last

    @property
    def weight(self) -> Tensor:
        """From features to logits, ``(V, F)``."""
        return self.embedding.weight if self.output is None else self.output

    @torch.no_grad()
    def expect(self, counts: Tensor) -> None:
        """Begin with logits by how often each token ``(V,)`` occurs, which then need not be learned."""
        self.bias.copy_(((counts + 1) / (counts + 1).sum()).log())

    def recurrent(self) -> Iterator[LSTM]:
        """The layers, from the bottom up."""
        for layer in self.layers:
            yield cast(LSTM, layer)

    def _dropped(self, x: Tensor) -> Tensor:
        if not self.training or self.size.dropout == 0:
            return x
        return x * dropout(x.new_ones(1, *x.shape[1:]), self.size.dropout)

    def _fold(self, layer: LSTM, x: Tensor, state: tuple[Tensor, Tensor] | None) -> Any:
        if not self.training or self.size.weight_drop == 0:
            return layer(x, state)
        (weight,) = (value for name, value in layer.named_parameters() if name == "weight_hh_l0")
        dropped = {"weight_hh_l0": dropout(weight, self.size.weight_drop)}
        return torch.func.functional_call(layer, dropped, (x, state))

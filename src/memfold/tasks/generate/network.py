"""The language model: embedding, LSTM layers, and a head that gives the logits of the token that follows.

What keeps it from learning small texts by heart is that of AWD-LSTM (Merity, Keskar & Socher 2018): dropout with one
mask for all steps of a window (Gal & Ghahramani 2016), dropped hidden-to-hidden weights (Wan et al. 2013), and one
matrix for embedding and head.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memfold.nn import LSTM

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
    """Reads tokens and gives the logits of each next one."""

    def __init__(self, size: ModelSize) -> None:
        super().__init__()
        self.size = size
        # Tokens to features.
        self.embedding = nn.Embedding(size.vocabulary, size.embedding_size)
        nn.init.normal_(self.embedding.weight, std=size.embedding_size**-0.5 if size.tied else 1.0)
        # The recurrent layers, one above another.
        inputs = [size.embedding_size] + [size.hidden_size] * (size.num_layers - 1)
        self.layers = nn.ModuleList([LSTM(width, size.hidden_size, coupled=size.coupled) for width in inputs])
        # Of a tied model this goes to the embedding's features, whose matrix goes on to the tokens.
        self.head = nn.Linear(size.hidden_size, size.embedding_size if size.tied else size.vocabulary)

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """The logits ``(T, B, V)`` of what follows each of the tokens ``(T, B)``, and the state after them."""
        x = self._dropped(self.embedding(tokens))  # (T, B, E)
        # Through the layers, each of which goes on from its own state.
        last = []
        for k, layer in enumerate(self.recurrent()):
            x, layer_state = self._fold(layer, x, None if state is None else state[k])
            x = self._dropped(x)  # (T, B, H)
            last.append(layer_state)
        # From the last layer to a logit for every token.
        y = self.head(x)
        return F.linear(y, self.embedding.weight) if self.size.tied else y, last

    def recurrent(self) -> Iterator[LSTM]:
        """The layers, from the bottom up."""
        for layer in self.layers:
            assert isinstance(layer, LSTM)
            yield layer

    def _dropped(self, x: Tensor) -> Tensor:
        if not self.training or self.size.dropout == 0:
            return x
        return x * F.dropout(x.new_ones(1, *x.shape[1:]), self.size.dropout)

    def _fold(self, layer: LSTM, x: Tensor, state: tuple[Tensor, Tensor] | None) -> Any:
        if not self.training or self.size.weight_drop == 0:
            return layer(x, state)
        (weight,) = (value for name, value in layer.named_parameters() if name == "weight_hh_l0")
        dropped = {"weight_hh_l0": F.dropout(weight, self.size.weight_drop)}
        return torch.func.functional_call(layer, dropped, (x, state))

    def head_on_hidden(self) -> dict[str, Tensor]:
        """The weights of one linear layer from the last h ``(H)`` to the logits ``(V)``."""
        weight, bias = self.head.weight, self.head.bias
        if not self.size.tied:
            return {"weight": weight, "bias": bias}
        return {"weight": self.embedding.weight @ weight, "bias": self.embedding.weight @ bias}

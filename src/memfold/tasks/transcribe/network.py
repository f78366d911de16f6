"""The acoustic model: frames thinned out by convolutions, LSTM layers, and log-probabilities of characters for CTC."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from memfold.nn import LSTM
from memfold.tasks.speech.front import Front, thinned

__all__ = ["BLANK", "AcousticNetwork", "NetworkSize"]

BLANK = 0  # the output that stands for no character (Graves et al. 2006)


@dataclass(frozen=True)
class NetworkSize:
    """What fixes the network's shapes.

    Attributes:
        bins: mel bands of a frame.
        channels: of the convolutions.
        convolutions: how many; each halves the rate.
        hidden_size: units of a layer, in each direction.
        num_layers: LSTM layers.
        characters: V, without the blank.
        dropout: after the convolutions, between layers and before the head.
        causal: forward layers alone.
    """

    bins: int
    channels: int
    convolutions: int
    hidden_size: int
    num_layers: int
    characters: int
    dropout: float
    causal: bool


class AcousticNetwork(nn.Module):
    """Log-probabilities of every character, and of none, at every step of a recording."""

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        self.size = size
        self.front = Front(size.bins, size.channels, size.convolutions)
        self.lstm = LSTM(
            size.channels,
            size.hidden_size,
            size.num_layers,
            batch_first=True,
            dropout=size.dropout if size.num_layers > 1 else 0.0,
            bidirectional=not size.causal,
        )
        self.dropout = nn.Dropout(size.dropout)
        self.head = nn.Linear(size.hidden_size * (1 if size.causal else 2), 1 + size.characters)

    def steps(self, frames: int) -> int:
        """How many steps so many frames make."""
        return int(thinned(torch.tensor(frames), self.size.convolutions))

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities ``(B, S, 1 + V)`` from normalised frames ``(B, T, M)``, and the lengths of their rows."""
        features, lengths = self.front(x, lengths)  # (B, S, C)
        hidden, _ = self.lstm(self.dropout(features), lengths=lengths)  # (B, S, D*H)
        return torch.log_softmax(self.head(self.dropout(hidden)), -1), lengths

"""The acoustic model: stacked frames, LSTM layers, and log-probabilities of characters for CTC."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from memfold.nn import LSTM
from memfold.nn.dropout import Dropout
from memfold.tasks.speech.front import Stacked

__all__ = ["AcousticNetwork", "AcousticSize"]


@dataclass(frozen=True)
class AcousticSize:
    """What fixes the network's shapes.

    Attributes:
        bins: mel bands of a frame.
        stacked: frames that make a step.
        hidden_size: units of a layer, in each direction.
        num_layers: LSTM layers.
        characters: V, without the blank.
        dropout: between layers and before the head.
        causal: forward layers alone.
    """

    bins: int
    stacked: int
    hidden_size: int
    num_layers: int
    characters: int
    dropout: float
    causal: bool


class AcousticNetwork(nn.Module):
    """Log-probabilities of every character, and of none, at every step of a recording."""

    def __init__(self, size: AcousticSize) -> None:
        super().__init__()
        self.size = size
        # Some frames side by side make a step.
        self.front = Stacked(size.bins, size.stacked)
        # The layers read the steps: in both directions, or forwards alone for a stream.
        self.lstm = LSTM(
            size.stacked * size.bins,
            size.hidden_size,
            size.num_layers,
            batch_first=True,
            dropout=size.dropout if size.num_layers > 1 else 0.0,
            bidirectional=not size.causal,
        )
        self.dropout = Dropout(size.dropout)
        # At every step a logit for each character, and one for the blank of CTC.
        self.head = nn.Linear(size.hidden_size * (1 if size.causal else 2), 1 + size.characters)

    @property
    def causal(self) -> bool:
        """Whether a step depends on none that follow."""
        return self.size.causal

    def steps(self, frames: int) -> int:
        """How many steps so many frames make."""
        return int(self.front.steps(torch.tensor(frames)))

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities ``(B, S, 1 + V)`` from normalised frames ``(B, T, M)``, and the lengths of their rows."""
        features, lengths = self.front(x, lengths)  # (B, S, K*M)
        hidden, _ = self.lstm(features, lengths=lengths)  # (B, S, D*H)
        return self._log_probabilities(hidden), lengths

    def by_layer(self, x: Tensor, lengths: Tensor) -> tuple[list[Tensor], Tensor]:
        """As :meth:`forward`, of the last two layers, the lower one's first; where there is one layer, of it alone."""
        features, lengths = self.front(x, lengths)
        outputs = self.lstm.outputs(features, lengths=lengths)  # each (B, S, D*H)
        return [self._log_probabilities(hidden) for hidden in outputs[-2:]], lengths

    def _log_probabilities(self, hidden: Tensor) -> Tensor:
        """Of what a layer returns, ``(B, S, D*H)``."""
        # In float32 under autocast too: a text is as likely as a sum over hundreds of steps.
        return torch.log_softmax(self.head(self.dropout(hidden)).float(), -1)

"""The bundled forecaster's network: an LSTM over patches, in torch for its training."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from memfold.nn import LSTM
from memfold.runtime.forecasting.candidates import CANDIDATES, PATCH, READ
from memfold.runtime.forecasting.size import LEVELS

__all__ = ["InstantNetwork"]

QUANTILES = len(LEVELS)


class InstantNetwork(nn.Module):
    """Patches of values and of candidates -> LSTM -> the quantiles of the next patch.

    Every quantile is a mixture of the candidates, by weights that are chosen for each step, and what is added to it in
    units of how much the series changes.
    """

    def __init__(self, hidden_size: int, num_layers: int) -> None:
        super().__init__()
        self.read = nn.Sequential(nn.Linear(READ, hidden_size), nn.SiLU(), nn.Linear(hidden_size, hidden_size))
        self.layers = nn.ModuleList(LSTM(hidden_size, hidden_size, batch_first=True) for _ in range(num_layers))
        self.norms = nn.ModuleList(nn.LayerNorm(hidden_size) for _ in range(num_layers))
        self.head = nn.Sequential(nn.LayerNorm(hidden_size), nn.Linear(hidden_size, hidden_size), nn.SiLU())
        self.added = nn.Linear(hidden_size, PATCH * QUANTILES)
        self.weights = nn.Linear(hidden_size, PATCH * CANDIDATES)

    def forward(
        self, z: Tensor, seen: Tensor, candidates: Tensor, known: Tensor, record: Tensor, facts: Tensor, unit: Tensor
    ) -> Tensor:
        """Forecast the patch after every patch.

        Args:
            z: scaled series, (B, L).
            seen: 1 where a value is known, (B, L).
            candidates: (B, C, L).
            known: (B, S, L).
            record: (B, RECORD, L / PATCH).
            facts: (B, FACTS).
            unit: of what is added to the candidates, (B, 1).

        Returns:
            Quantiles, (B, L / PATCH, PATCH, Q).
        """
        # The mean of all is 0 in every scaled series: nothing to read.
        rows = torch.cat([z[:, None], seen[:, None], candidates[:, :-1], known], 1)  # (B, R, L)
        patches = rows.reshape(*rows.shape[:2], -1, PATCH).transpose(1, 2).flatten(2)  # (B, L / PATCH, R * PATCH)
        same = facts[:, None].expand(-1, patches.shape[1], -1)
        h = self.read(torch.cat([patches, record.transpose(1, 2), same], -1))
        for layer, norm in zip(self.layers, self.norms, strict=True):
            h = h + layer(norm(h))[0]
        h = self.head(h)
        share = functional.softmax(self.weights(h).reshape(*h.shape[:2], PATCH, CANDIDATES), -1)  # (B, T, P, C)
        each = candidates.reshape(*candidates.shape[:2], -1, PATCH).permute(0, 2, 3, 1)  # (B, T, P, C)
        middle = (share * each).sum(-1, keepdim=True)
        result: Tensor = middle + unit[..., None, None] * self.added(h).reshape(*h.shape[:2], PATCH, QUANTILES)
        return result

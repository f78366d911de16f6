"""Ridge regression (Hoerl & Kennard 1970) from windows to every step ahead, in units of the windows' scales."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from memfold.tasks.forecast.network import Window, level_and_scale, standardised
from memfold.tasks.forecast.size import NetworkSize

__all__ = ["Rows", "best_penalty", "predicted", "solved"]


@dataclass(frozen=True)
class Rows:
    """Windows as the rows of a regression, in units of their scales.

    Attributes:
        shared: what every step ahead depends on: values, covariates within the window, and a 1, (B, X).
        ahead: what is known of each step ahead, (B, K, F).
        target: the values ahead, (B, K); None when they are to be forecast.
        level, scale: of the windows, (B, 1).
    """

    shared: Tensor
    ahead: Tensor
    target: Tensor | None
    level: Tensor
    scale: Tensor

    @classmethod
    def of(cls, window: Window, size: NetworkSize, calendar: int) -> "Rows":
        """The rows of windows.

        Args:
            calendar: features of the calendar, which come first among those that are known ahead.
        """
        level, scale = level_and_scale(window.y, window.seen)
        z = torch.where(window.seen, standardised(window.y, level, scale), 0.0)  # (B, C)
        columns = window.known[:, : size.context, calendar:]  # the calendar repeats, as values do
        shared = [z, window.past.double().flatten(1), columns.double().flatten(1), torch.ones(len(z), 1)]
        ahead = window.known[:, size.context :].double()
        target = None if window.target is None else standardised(window.target, level, scale)
        return cls(torch.cat(shared, 1), ahead, target, level, scale)

    @property
    def actual(self) -> Tensor:
        """The target of rows that have one."""
        assert self.target is not None
        return self.target


def solved(rows: Rows, penalty: float) -> Tensor:
    """The weights of every step ahead, (K, X + F); the constant is not penalised."""
    size, steps = rows.shared.shape[1], rows.actual.shape[1]
    width = size + rows.ahead.shape[2]
    penalties = torch.full((width,), penalty, dtype=torch.float64)
    penalties[size - 1] = 0
    same = rows.shared.T @ rows.shared  # (X, X)
    product = (rows.shared.T @ rows.actual).T  # (K, X)
    # NumPy's solver: torch's failed in MKL ("Pivots given to lu_solve") after a training that had changed its threads
    if width == size:
        return torch.from_numpy(np.linalg.solve((same + torch.diag(penalties)).numpy(), product.T.numpy()).T)
    gram = torch.empty(steps, width, width, dtype=torch.float64)
    gram[:, :size, :size] = same
    ahead = rows.ahead.transpose(0, 1)  # (K, B, F)
    gram[:, :size, size:] = rows.shared.T @ ahead
    gram[:, size:, :size] = gram[:, :size, size:].mT
    gram[:, size:, size:] = ahead.mT @ ahead
    product = torch.cat([product, torch.einsum("kbf,bk->kf", ahead, rows.actual)], 1)
    system = (gram + torch.diag(penalties)).numpy()
    return torch.from_numpy(np.linalg.solve(system, product.numpy()[..., None])[..., 0])


def predicted(weights: Tensor, rows: Rows) -> Tensor:
    """In units of the windows' scales, (B, K)."""
    size = rows.shared.shape[1]
    return rows.shared @ weights[:, :size].T + torch.einsum("bkf,kf->bk", rows.ahead, weights[:, size:])


def best_penalty(train: Rows, valid: Rows, penalties: Sequence[float]) -> tuple[float, Tensor]:
    """The penalty with the least absolute error on other rows, and the weights that it gives."""
    weights = [solved(train, penalty) for penalty in penalties]
    errors = [float((predicted(solution, valid) - valid.actual).abs().mean()) for solution in weights]
    best = errors.index(min(errors))
    return penalties[best], weights[best]

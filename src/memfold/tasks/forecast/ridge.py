"""Ridge regression (Hoerl & Kennard 1970) from windows to every step ahead, in units of the windows' scales."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from memfold.runtime.forecasting.linear import Rows, predicted

__all__ = ["best_penalty", "solved"]

Array = NDArray[np.float64]


def solved(rows: Rows, penalty: float) -> Array:
    """The weights of every step ahead, (K, X + F); the constant is not penalised."""
    size, steps = rows.shared.shape[1], rows.actual.shape[1]
    width = size + rows.ahead.shape[2]
    penalties = np.full(width, penalty)
    penalties[size - 1] = 0
    same = rows.shared.T @ rows.shared  # (X, X)
    product = (rows.shared.T @ rows.actual).T  # (K, X)
    if width == size:
        plain: Array = np.linalg.solve(same + np.diag(penalties), product.T).T
        return plain
    gram = np.empty((steps, width, width))
    gram[:, :size, :size] = same
    ahead = rows.ahead.swapaxes(0, 1)  # (K, B, F)
    gram[:, :size, size:] = rows.shared.T @ ahead
    gram[:, size:, :size] = gram[:, :size, size:].swapaxes(1, 2)
    gram[:, size:, size:] = ahead.swapaxes(1, 2) @ ahead
    product = np.concatenate([product, np.einsum("kbf,bk->kf", ahead, rows.actual)], 1)
    result: Array = np.linalg.solve(gram + np.diag(penalties), product[..., None])[..., 0]
    return result


def best_penalty(train: Rows, valid: Rows, penalties: Sequence[float]) -> tuple[float, Array]:
    """The penalty with the least absolute error on other rows, and the weights that it gives."""
    weights = [solved(train, penalty) for penalty in penalties]
    errors = [float(np.abs(predicted(solution, valid) - valid.actual).mean()) for solution in weights]
    best = errors.index(min(errors))
    return penalties[best], weights[best]

"""What to beat: logistic regression, by scikit-learn, on statistics of a recording's cepstra; kept with the model."""

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from memfold.runtime.hearing.inference import CepstralModel

__all__ = ["CepstralRegression"]
STRENGTH = 0.1  # scikit-learn's C


class CepstralRegression(nn.Module):
    """Logistic regression on standardised statistics.

    It has no parameters, only buffers: it is scikit-learn's work, and is saved with the network.

    Args:
        statistics: Q, of a recording.
        commands: K.
    """

    mean: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, statistics: int, commands: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(statistics))
        self.register_buffer("scale", torch.ones(statistics))
        self.register_buffer("weight", torch.zeros(commands, statistics))
        self.register_buffer("bias", torch.zeros(commands))

    @classmethod
    def fit(cls, statistics: NDArray[np.float32], labels: NDArray[np.int64], commands: int) -> "CepstralRegression":
        """Fit to recordings' statistics ``(S, Q)`` and their commands, numbered from 0."""
        model = cls(statistics.shape[1], commands)
        model.mean.copy_(torch.from_numpy(statistics.mean(0)))
        model.scale.copy_(torch.from_numpy(1 / np.maximum(statistics.std(0), 1e-6)))
        regression = LogisticRegression(C=STRENGTH, max_iter=5000).fit(model._standardised(statistics), labels)
        weight, bias = regression.coef_, regression.intercept_
        if commands == 2:  # scikit-learn has one row, of the second against the first
            weight = np.concatenate([-weight, weight]) / 2
            bias = np.concatenate([-bias, bias]) / 2
        model.weight.copy_(torch.from_numpy(weight))
        model.bias.copy_(torch.from_numpy(bias))
        return model

    def log_probabilities(self, statistics: NDArray[np.float32]) -> NDArray[np.float64]:
        """Of every command for every recording's statistics ``(S, Q)``, (S, K)."""
        buffers = (self.mean, self.scale, self.weight, self.bias)
        return CepstralModel(*(buffer.numpy() for buffer in buffers)).log_probabilities(statistics)

    def _standardised(self, statistics: NDArray[np.float32]) -> NDArray[np.float32]:
        result: NDArray[np.float32] = (statistics - self.mean.numpy()) * self.scale.numpy()
        return result

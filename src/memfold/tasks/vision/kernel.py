"""A plain classifier beside the network: ridge regression with a Gaussian kernel on features of images.

Everything that it answers by is a few stored arrays and a closed formula. It is strong where images are few.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from torch import Tensor, nn

from memfold.tasks.vision.features import blocks_of, features_of, groups_of

__all__ = ["EDGES", "Choice", "KernelMachine"]

Array = NDArray[np.float64]
Values = NDArray[np.float32]

MIXES = ((1.0, 0.0, 0.0), (1.0, 0.0, 0.5), (0.0, 1.0, 0.0), (0.0, 1.0, 0.5), (0.0, 0.0, 1.0), (0.5, 1.0, 0.0))
WIDTHS = (0.5, 1.0, 2.0)  # factors of the squared distance, whose mean is 2
RIDGES = (1e-3, 1e-2, 1e-1, 1.0)
AXES = 150
LANDMARKS = 2000  # images in the formula
MOST_IMAGES = 10_000  # that it is fitted to
LOOKED_AT = 800  # images by which mix, width and ridge are chosen
TINY = 1e-6  # share of the largest eigenvalue below which one counts as none


@dataclass(frozen=True)
class Choice:
    """What was chosen by leaving one out: the weights of the groups of features, and the kernel's width."""

    mix: tuple[float, ...]
    width: float


EDGES = Choice((1.0, 0.0, 0.5), 1.0)  # without colours


class KernelMachine(nn.Module):
    """Log-probabilities of classes: a softmax of the scores of kernel ridge regression on one-hot classes.

    Of many images some are landmarks (Nyström's method, Williams & Seeger 2001). It has no parameters, only buffers.

    Args:
        features, axes, points, classes: D, A, M and K.
    """

    mean: Tensor
    axes: Tensor
    points: Tensor
    weights: Tensor
    bias: Tensor
    width: Tensor

    def __init__(self, features: int, axes: int, points: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("axes", torch.zeros(axes, features))
        self.register_buffer("points", torch.zeros(points, axes))
        self.register_buffer("weights", torch.zeros(points, classes))
        self.register_buffer("bias", torch.zeros(classes))
        self.register_buffer("width", torch.zeros(()))

    @classmethod
    def fit(
        cls, pixels: NDArray[np.uint8], labels: NDArray[np.int64], classes: int, choice: Choice | None = None
    ) -> tuple["KernelMachine", Choice]:
        """Fit to images ``(N, C, S, S)`` and their classes by number, ``(N,)``; also returns what was chosen.

        Args:
            choice: an earlier one, to be kept; None chooses.
        """
        some = _spread(len(pixels), MOST_IMAGES)
        groups, labels = features_of(pixels[some]), labels[some]
        one_hot = np.eye(classes)[labels]
        choice = choice or _chosen(groups, one_hot)
        mean, axes = _projection(groups, choice.mix)
        z = (np.concatenate(groups, 1) - mean) @ axes.T
        rows = _spread(len(z), LANDMARKS)
        model = cls(len(mean), len(axes), len(rows), classes)
        bias = one_hot.mean(0)
        weights, left_out = _ridge(_kernel_of(z, z[rows], choice.width), rows, one_hot - bias)
        sure = _sharpness(left_out + bias, labels)
        for name, values in (("mean", mean), ("axes", axes), ("points", z[rows]), ("weights", sure * weights)):
            getattr(model, name).copy_(torch.from_numpy(np.asarray(values)))
        model.bias.copy_(torch.from_numpy(sure * bias))
        model.width.fill_(choice.width)
        return model, choice

    def forward(self, pixels: Tensor) -> Tensor:
        """Log-probabilities of every class for a batch of bytes ``(B, C, S, S)``, ``(B, K)``, in double precision."""
        z = (torch.cat(groups_of(pixels), 1) - self.mean) @ self.axes.T  # (B, A)
        kernel = _kernel(z, self.points, self.width)  # (B, M)
        return (kernel @ self.weights.double() + self.bias.double()).log_softmax(1)

    @torch.no_grad()
    def log_probabilities(self, pixels: NDArray[np.uint8]) -> Array:
        """Of every class for images ``(N, C, S, S)``, ``(N, K)``."""
        result: Array = torch.cat([self(part) for part in blocks_of(pixels)]).numpy()
        return result

    def shape(self) -> dict[str, int]:
        """The constructor's arguments."""
        points, classes = self.weights.shape
        return {"features": len(self.mean), "axes": len(self.axes), "points": points, "classes": classes}


def _chosen(groups: Sequence[Values], one_hot: Array) -> Choice:
    """The mix and the width with the least squared error of images left out one at a time."""
    rows = _spread(len(one_hot), LOOKED_AT)
    some, truth = [group[rows] for group in groups], one_hot[rows]
    joined = np.concatenate(some, 1)
    errors: dict[Choice, float] = {}
    for mix in MIXES:
        if any(weight and not group.shape[1] for weight, group in zip(mix, groups, strict=True)):
            continue
        mean, axes = _projection(some, mix)
        z = (joined - mean) @ axes.T
        for width in WIDTHS:
            bias = truth.mean(0)
            _, left_out = _ridge(_kernel_of(z, z, width), np.arange(len(z)), truth - bias)
            errors[Choice(mix, width)] = float(np.square(left_out + bias - truth).sum(1).mean())
    return min(errors, key=errors.__getitem__)


def _projection(groups: Sequence[Values], mix: Sequence[float]) -> tuple[Values, Values]:
    """Mean ``(D,)`` and principal axes ``(A, D)`` of the groups, each scaled to a variance, and weighted."""
    from sklearn.utils.extmath import randomized_svd

    rows = _spread(len(groups[0]), LANDMARKS)
    scales = []
    for group, weight in zip(groups, mix, strict=True):
        deviation = np.sqrt(group[rows].var(0).sum()) if group.shape[1] else 0.0
        scales.append(np.full(group.shape[1], weight / max(float(deviation), 1e-9) if weight else 0.0, np.float32))
    scale = np.concatenate(scales) / np.float32(np.linalg.norm(mix))
    joined = np.concatenate([group[rows] for group in groups], 1)
    mean, used = joined.mean(0), np.flatnonzero(scale)
    count = min(AXES, len(used), len(rows))
    _, _, directions = randomized_svd((joined - mean)[:, used] * scale[used], count, random_state=0)
    axes = np.zeros((count, len(scale)), np.float32)
    axes[:, used] = directions * scale[used]
    return mean, axes


def _spread(count: int, most: int) -> NDArray[np.int64]:
    """So many rows at most, drawn evenly, in order."""
    return np.sort(np.random.default_rng(0).permutation(count)[:most])


def _kernel(a: Tensor, b: Tensor, width: float | Tensor) -> Tensor:
    """``exp(-width |a - b|² / 2)`` of points ``(N, A)`` and ``(M, A)``, ``(N, M)``, in double precision."""
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return (squared.clamp(min=0).double() * (-width / 2)).exp()


def _kernel_of(a: NDArray[np.floating], b: NDArray[np.floating], width: float) -> Array:
    kernel: Array = _kernel(torch.from_numpy(a), torch.from_numpy(b), width).numpy()
    return kernel


def _ridge(kernel: Array, landmarks: NDArray[np.int64], truth: Array) -> tuple[Array, Array]:
    """Weights of the landmarks ``(M, K)``, and the scores of images left out one at a time ``(N, K)``.

    The ridge is chosen by the squared error of the latter, which have a closed form (Allen 1974).

    Args:
        kernel: of images and landmarks, ``(N, M)``.
        landmarks: the rows of these.
        truth: ``(N, K)``.
    """
    values, vectors = eigh(kernel[landmarks])
    kept = values > TINY * values[-1]
    to_features = vectors[:, kept] / np.sqrt(values[kept])
    features = kernel @ to_features  # (N, R), with dot products that are the kernel's
    if len(landmarks) == len(kernel):
        values, vectors = values[kept], np.eye(int(kept.sum()))
    else:
        values, vectors = eigh(features.T @ features)
    rotated, target = features @ vectors, vectors.T @ (features.T @ truth)
    best: tuple[float, Array, Array] | None = None
    for ridge in RIDGES:
        shrunk = 1 / (values + ridge)
        influence = np.minimum((rotated**2 * shrunk).sum(1), 1 - 1e-6)
        off = (truth - rotated @ (shrunk[:, None] * target)) / (1 - influence)[:, None]
        error = float(np.square(off).sum())
        if best is None or error < best[0]:
            best = error, to_features @ (vectors @ (shrunk[:, None] * target)), truth - off
    assert best is not None
    return best[1], best[2]


def _sharpness(scores: Array, labels: NDArray[np.int64]) -> float:
    """The factor of the scores ``(N, K)`` whose softmax gives the classes the highest likelihood."""
    rows = np.arange(len(labels))

    def loss(exponent: float) -> float:
        return -float(log_softmax(np.exp(exponent) * scores, 1)[rows, labels].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(0.0, 5.0), method="bounded").x))

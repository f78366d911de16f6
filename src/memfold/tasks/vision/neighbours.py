"""What to beat: the nearest of the training images, by scikit-learn, along their principal axes; kept with the model.

Of faces these axes are the eigenfaces of Turk & Pentland 1991.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor, nn

__all__ = ["PrincipalNeighbours", "nearness"]


class PrincipalNeighbours(nn.Module):
    """The majority of the k nearest images on their first principal axes.

    It has no parameters, only buffers: it is scikit-learn's work, and is saved with the network.

    Args:
        images: N, that it was fitted to.
        pixels: of an image, over its channels.
        axes: A.
        nearest: k.
    """

    mean: Tensor
    axes: Tensor
    points: Tensor
    labels: Tensor

    def __init__(self, images: int, pixels: int, axes: int, nearest: int) -> None:
        super().__init__()
        self.nearest = nearest
        self.register_buffer("mean", torch.zeros(pixels))
        self.register_buffer("axes", torch.zeros(axes, pixels))
        self.register_buffer("points", torch.zeros(images, axes))
        self.register_buffer("labels", torch.zeros(images, dtype=torch.int64))

    @classmethod
    def fit(
        cls, pixels: NDArray[np.uint8], labels: NDArray[np.int64], axes: int, nearest: int
    ) -> "PrincipalNeighbours":
        """Fit to images ``(N, C, S, S)`` and their classes by number, ``(N,)``; of few images there are fewer axes."""
        rows = _rows(pixels)
        axes = min(axes, *rows.shape)
        nearest = min(nearest, len(rows))
        model = cls(len(rows), rows.shape[1], axes, nearest)
        pca = PCA(axes, random_state=0).fit(rows)
        model.mean.copy_(torch.from_numpy(pca.mean_))
        model.axes.copy_(torch.from_numpy(pca.components_))
        model.points.copy_(torch.from_numpy(model.project(pixels)))
        model.labels.copy_(torch.from_numpy(labels))
        return model

    def grown(self, pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> "PrincipalNeighbours":
        """The same axes with more images ``(N, C, S, S)`` along them."""
        model = PrincipalNeighbours(len(self.points) + len(labels), len(self.mean), len(self.axes), self.nearest)
        model.mean.copy_(self.mean)
        model.axes.copy_(self.axes)
        model.points.copy_(torch.cat([self.points, torch.from_numpy(self.project(pixels))]))
        model.labels.copy_(torch.cat([self.labels, torch.from_numpy(labels)]))
        return model

    def forward(self, pixels: Tensor) -> Tensor:
        """A batch of bytes ``(B, C, S, S)`` along the axes, ``(B, A)``."""
        return (pixels.flatten(1).float() / 255 - self.mean) @ self.axes.T

    def project(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Images ``(N, C, S, S)`` along the axes, ``(N, A)``."""
        result: NDArray[np.float32] = self(torch.from_numpy(np.ascontiguousarray(pixels))).numpy()
        return result

    def answers(self, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
        """The class of every image, ``(N,)``."""
        neighbours = KNeighborsClassifier(self.nearest).fit(self.points.numpy(), self.labels.numpy())
        classes: NDArray[np.int64] = neighbours.predict(self.project(pixels))
        return classes

    def shape(self) -> dict[str, int]:
        """The constructor's arguments."""
        return {
            "images": len(self.points),
            "pixels": len(self.mean),
            "axes": len(self.axes),
            "nearest": self.nearest,
        }


def nearness(points: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Euclidean distances of points ``(N, A)`` and ``(M, A)`` with their sign turned, ``(N, M)``."""
    result: NDArray[np.float32] = -torch.cdist(torch.from_numpy(points), torch.from_numpy(others)).numpy()
    return result


def _rows(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return pixels.reshape(len(pixels), -1).astype(np.float32) / np.float32(255)

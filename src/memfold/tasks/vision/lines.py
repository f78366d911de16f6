"""One row and one column of a picture, read apart from the others so that their gates can be traced."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from memfold.nn import BiLSTM2D

__all__ = ["lines_apart"]


@contextmanager
def lines_apart(network: nn.Module, row: float, column: float) -> Iterator[None]:
    """While open, every `BiLSTM2D` reads one row and one column by calls of their own, and the others beside them.

    What the network returns for one picture is the same. The calls of the layers' hooks are those of that row and that
    column alone, so that they can be traced and replayed.

    Args:
        row, column: in shares of the height and the width, from 0 to below 1.
    """
    layers = [module for module in network.modules() if isinstance(module, BiLSTM2D)]
    for layer in layers:

        def forward(x: Tensor, layer: BiLSTM2D = layer) -> Tensor:
            (image,) = x  # (H, W, C)
            r, c = int(row * len(image)), int(column * image.shape[1])
            down, across = layer.columns.forward(image)[0], layer.rows.forward(image)[0]  # without hooks, (H, W, 2h)
            own_column = layer.columns(image[:, c : c + 1])[0]
            own_row = layer.rows(image[r : r + 1])[0]
            down = torch.cat([down[:, :c], own_column, down[:, c + 1 :]], 1)
            across = torch.cat([across[:r], own_row, across[r + 1 :]])
            y: Tensor = layer.projection(torch.cat([down, across], -1))
            return y[None]

        vars(layer)["forward"] = forward
    try:
        yield
    finally:
        for layer in layers:
            del vars(layer)["forward"]

"""What an output owes to each input step: by integrated gradients, and by occlusion."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from memfold.nn.layer import Recurrent

__all__ = ["inputs_of", "integrated_gradients", "occlusion", "substituted"]

POINTS = 40  # on the way from the baseline to the input

Score = Callable[[Tensor], Tensor]


def integrated_gradients(score: Score, x: Tensor, baseline: Tensor | None = None, points: int = POINTS) -> Tensor:
    """The share of every entry of x in ``score(x) - score(baseline)``; the shares add up to it.

    Sundararajan, Taly & Yan 2017 (arXiv 1703.01365), eq. 1; the integral by Gauss's and Legendre's rule, which is
    exact to many digits where the score is smooth and to per cents where it has kinks, such as a maximum over time.

    Args:
        score: from a tensor shaped as x to a number.
        baseline: where there is nothing; zeros when None.
        points: at which the gradient is taken.
    """
    start = torch.zeros_like(x) if baseline is None else baseline
    places, weights = np.polynomial.legendre.leggauss(points)
    total = torch.zeros_like(x)
    with torch.enable_grad():
        for place, weight in zip(((places + 1) / 2).tolist(), (weights / 2).tolist(), strict=True):
            at = (start + place * (x - start)).detach().requires_grad_()
            (gradient,) = torch.autograd.grad(score(at), at)
            total += weight * gradient
    return total * (x - start)


@torch.no_grad()
def occlusion(score: Score, x: Tensor, baseline: Tensor | None = None) -> Tensor:
    """What the score loses when a step of x (T, ...) is put to the baseline, (T,) (Zeiler & Fergus 2014, sec. 4.2)."""
    start = torch.zeros_like(x) if baseline is None else baseline
    whole, losses = score(x), []
    for t in range(len(x)):
        without = x.clone()
        without[t] = start[t]
        losses.append(whole - score(without))
    return torch.stack(losses)


@torch.no_grad()
def inputs_of(layers: Sequence[Recurrent], run: Callable[[], Any]) -> Tensor:
    """What some layers read in a call of one row, features side by side: (T, all their I)."""
    inputs: dict[int, Tensor] = {}
    hooks = []
    for place, layer in enumerate(layers):

        def hook(module: Any, arguments: Any, place: int = place) -> None:
            inputs[place] = arguments[0]

        hooks.append(layer.register_forward_pre_hook(hook))
    try:
        run()
    finally:
        for handle in hooks:
            handle.remove()
    return torch.cat([inputs[place].reshape(-1, layer.input_size) for place, layer in enumerate(layers)], -1)


@contextmanager
def substituted(layers: Sequence[Recurrent], x: Tensor) -> Iterator[None]:
    """While open, the layers read x, as `inputs_of` gives it, whatever they are given."""
    hooks = []
    for layer, part in zip(layers, torch.split(x, [layer.input_size for layer in layers], -1), strict=True):

        def hook(module: Any, arguments: Any, part: Tensor = part) -> Any:
            return (part.reshape(arguments[0].shape), *arguments[1:])

        hooks.append(layer.register_forward_pre_hook(hook))
    try:
        yield
    finally:
        for handle in hooks:
            handle.remove()

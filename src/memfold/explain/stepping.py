"""A network's recurrent layers computed step by step in torch's own operators, every value of every step in reach."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from memfold.explain.trace import recurrent_layers
from memfold.nn import composition
from memfold.nn.composition import State, Values, Weights
from memfold.nn.layer import Recurrent

__all__ = ["Change", "gradient_flow", "replayed"]


class Change:
    """What is done otherwise in one layer and direction; each method returns what it is given, or something else.

    Attributes:
        layer: as a trace names it, such as ``lstm.l0``.
    """

    layer: str

    def weights(self, layer: Recurrent, weights: Weights, step: int) -> Weights:
        """The weights of a step."""
        return weights

    def before(self, layer: Recurrent, state: State, step: int) -> State:
        """The state that a step finds."""
        return state

    def after(self, layer: Recurrent, values: Values, step: int) -> Values:
        """The values of a step."""
        return values


@contextmanager
def replayed(network: nn.Module, changes: Sequence[Change] = ()) -> Iterator[dict[str, list[Values]]]:
    """While open, the network's layers are computed step by step, and the values of each step are kept.

    They are kept by the layers' names in a trace, (1, H) each, in the order of the sequence. The network is to be in
    evaluation mode: dropout is left out.

    Raises:
        ValueError: at once, a change in a layer that the network has not; in a call, one with several rows, with
            resets, with zoneout, or with a PackedSequence.
    """
    layers = recurrent_layers(network)
    known = [name for path, layer in layers.items() for name in _names(path, layer)]
    for change in changes:
        if change.layer not in known:
            raise ValueError(f"there is no layer {change.layer!r}; there is {', '.join(known)}")
    kept: dict[str, list[Values]] = {}
    hooks = []
    for path, layer in layers.items():

        def hook(module: nn.Module, arguments: Any, options: Any, _: Any, path: str = path) -> Any:
            assert isinstance(module, Recurrent)
            return _stepped(module, path, changes, kept, *arguments, **options)

        hooks.append(layer.register_forward_hook(hook, with_kwargs=True))
    try:
        yield kept
    finally:
        for handle in hooks:
            handle.remove()


def _names(path: str, layer: Recurrent) -> list[str]:
    directions = ("", "_reverse")[: layer.num_directions]
    return [f"{path}.l{k}{direction}".lstrip(".") for k, direction in product(range(layer.num_layers), directions)]


def _stepped(
    layer: Recurrent,
    path: str,
    changes: Sequence[Change],
    kept: dict[str, list[Values]],
    x: Tensor,
    hx: Any = None,
    *,
    lengths: Any = None,
    resets: Any = None,
) -> Any:
    """What the layer returns, for one row."""
    if resets is not None or any(layer.zoneouts) or not isinstance(x, Tensor):
        raise ValueError(f"the layer {path!r} was called with resets, zoneout or a PackedSequence: it is not replayed")
    unbatched = x.dim() == 2
    x, state, _, _ = layer.prepared(x, hx, None, None)
    if x.shape[1] != 1:
        raise ValueError(f"the layer {path!r} was called with {x.shape[1]} rows; one is replayed at a time")
    whole = len(x)
    steps = whole if lengths is None else int(torch.as_tensor(lengths).reshape(-1)[0])
    x = x[:steps]
    finals: list[State] = []
    for row, name in enumerate(_names(path, layer)):
        direction = row % layer.num_directions
        of_layer = [change for change in changes if change.layer == name]
        start = tuple(s[row] for s in state)
        values, final = _fold(layer, row, x, start, of_layer, reverse=direction == 1)
        kept[name] = values
        finals.append(final)
        if direction == layer.num_directions - 1:
            parts = [kept[done] for done in _names(path, layer)[row - direction : row + 1]]
            x = torch.stack([torch.cat([v["h"] for v in both], -1) for both in zip(*parts, strict=True)])
    y = torch.cat([x, x.new_zeros(whole - steps, *x.shape[1:])])  # (T, 1, D*H)
    joined = tuple(torch.stack(parts) for parts in zip(*finals, strict=True))
    if unbatched:
        y = y.squeeze(1)
        joined = tuple(s.squeeze(1) for s in joined)
    elif layer.batch_first:
        y = y.transpose(0, 1)
    return y, (joined if len(joined) > 1 else joined[0])


def _fold(
    layer: Recurrent, row: int, x: Tensor, state: State, changes: Sequence[Change], reverse: bool
) -> tuple[list[Values], State]:
    formula, names = composition.FORMULAS[layer.cell], composition.CELLS[layer.cell].state
    plain = layer.weights(row)
    result: list[Values] = [{} for _ in x]
    for t in reversed(range(len(x))) if reverse else range(len(x)):
        weights = plain
        for change in changes:
            weights = change.weights(layer, weights, t)
            state = change.before(layer, state, t)
        values = formula(composition.share(x[t], weights, "ih"), state[0], state, weights, clip=layer.clip)
        for change in changes:
            values = change.after(layer, values, t)
        state = tuple(values[name] for name in names)
        for value in state:
            if value.requires_grad:
                value.retain_grad()
        result[t] = values
    return result, state


def gradient_flow(network: nn.Module, score: Callable[[], Tensor]) -> dict[str, Tensor]:
    """The norm of the gradient of a score by every h of every layer: how far back what it depends on lies.

    Args:
        score: calls the network on one row and returns a number, with a gradient.

    Returns:
        By the layers' names, (T,); by ``NAME/c`` of an LSTM also that by its cells. The network's own gradients are
        gone afterwards.
    """
    with torch.enable_grad(), replayed(network) as kept:
        score().backward()  # type: ignore[no-untyped-call]
    network.zero_grad(set_to_none=True)
    norms: dict[str, Tensor] = {}
    for name, steps in kept.items():
        for part in ("h", "c"):
            if part in steps[0]:
                gradients = [v[part].grad for v in steps]
                norms[name if part == "h" else f"{name}/c"] = torch.stack(
                    [torch.tensor(0.0) if g is None else g.norm() for g in gradients]
                )
    return norms

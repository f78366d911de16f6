"""What if a gate were held, a unit silent, or the memory another: the network's output, as it is and as it would be."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from memfold.explain.stepping import Change, replayed
from memfold.nn import composition
from memfold.nn.composition import State, Values, Weights
from memfold.nn.layer import Recurrent

__all__ = ["Ablate", "Clamp", "Edit", "what_if"]


@dataclass(frozen=True)
class Clamp(Change):
    """A gate has one value, whatever it is given.

    Attributes:
        gate: ``i f g o`` of an LSTM, ``r z n`` of a GRU.
        value: from 0 to 1; of g and n, from -1 to 1.
        units: those that are held; all when None.
        steps: when; always when None.
    """

    layer: str
    gate: str
    value: float
    units: Sequence[int] | None = None
    steps: Sequence[int] | None = None

    def weights(self, layer: Recurrent, weights: Weights, step: int) -> Weights:
        """Weights by which the gate comes out at the value: its rows are 0, its bias is what the value is made of.

        Raises:
            ValueError: the cell has no such gate, the gate no such value, or the layer normalises or clips what gates
                are made of.
        """
        if self.steps is not None and step not in self.steps:
            return weights
        gates, gate, value = composition.CELLS[layer.cell].gates, self.gate, self.value
        if layer.cell == "coupled_lstm" and gate == "f":
            gate, value = "i", 1 - value  # its forget gate is 1 - i
        if gate not in gates or gate == "h":
            raise ValueError(f"{layer.cell} has no gate {self.gate!r}; it has {', '.join(gates)}")
        if not (-1 if gate in "gn" else 0) <= value <= 1:
            raise ValueError(
                f"the gate {self.gate} cannot be held at {self.value}: it lies outside what the gate can be"
            )
        if "ln_ih" in weights or layer.clip is not None:
            raise ValueError("a gate of a layer with layer normalization or clipping cannot be held")
        hidden = layer.hidden_size
        chosen = torch.arange(hidden) if self.units is None else torch.as_tensor(self.units)
        rows = gates.index(gate) * hidden + chosen
        changed = {name: weight.clone() for name, weight in weights.items()}
        changed.setdefault("bias_ih", weights["weight_ih"].new_zeros(len(gates) * hidden))
        for name in ("weight_ih", "weight_hh", "bias_hh"):
            if name in changed:
                changed[name][rows] = 0
        changed["bias_ih"][rows] = math.inf if value == 1 else _pre_activation(gate, value)
        if "weight_ph" in changed and gate != "g":
            changed["weight_ph"][[g for g in gates if g != "g"].index(gate) * hidden + chosen] = 0
        return changed


def _pre_activation(gate: str, value: float) -> float:
    """What the gate's activation makes the value of; not of 1."""
    if gate in "gn":
        return math.atanh(value) if value > -1 else -math.inf
    return math.log(value / (1 - value)) if value > 0 else -math.inf


@dataclass(frozen=True)
class Ablate(Change):
    """Units are silent: their h is 0, for what reads the layer and for its own next step."""

    layer: str
    units: Sequence[int]

    def after(self, layer: Recurrent, values: Values, step: int) -> Values:
        """The values with some h at 0."""
        h = values["h"].clone()
        h[..., list(self.units)] = 0
        return {**values, "h": h}


@dataclass(frozen=True)
class Edit(Change):
    """A step finds another value in the state.

    Attributes:
        state: ``c`` or ``h``.
        step: that finds it, in the order of the sequence.
    """

    layer: str
    state: str
    unit: int
    step: int
    value: float

    def before(self, layer: Recurrent, state: State, step: int) -> State:
        """The state with the unit's value.

        Raises:
            ValueError: the cell's state has no such part.
        """
        names = composition.CELLS[layer.cell].state
        if self.state not in names:
            raise ValueError(f"the state of {layer.cell} is {', '.join(names)}, not {self.state!r}")
        if step != self.step:
            return state
        parts = [part.clone() for part in state]
        parts[names.index(self.state)][..., self.unit] = self.value
        return tuple(parts)


@torch.no_grad()
def what_if(network: nn.Module, run: Callable[[], Tensor], *changes: Change) -> tuple[Tensor, Tensor]:
    """What a network returns, and what it would return.

    Args:
        run: calls the network, with one row, and returns what is looked at.
        changes: `Clamp`, `Ablate` and `Edit`, in the order in which they act.

    Raises:
        ValueError: a change that does not fit, see each, or a call that cannot be replayed.

    >>> lstm = __import__("memfold").nn.LSTM(2, 3)
    >>> x = torch.randn(5, 1, 2)
    >>> as_is, closed = what_if(lstm, lambda: lstm(x)[0], Clamp("l0", "o", 0.0))
    >>> bool(as_is.any()), bool(closed.any())
    (True, False)
    """
    with replayed(network):  # step by step too, so that what no change reaches is the same to the bit
        as_is = run()
    with replayed(network, changes):
        return as_is, run()

"""The account of a memory: what each step wrote into it, and what is left of that."""

from dataclasses import dataclass

import numpy as np

from memfold.explain.trace import Array, LayerTrace

__all__ = ["Account", "account", "half_life", "kept_and_written"]


@dataclass(frozen=True)
class Account:
    """What a state is made of.

    Attributes:
        state: which: ``c`` of an LSTM, ``h`` of a GRU.
        start: what is left of the state before the first step, (H,).
        steps: what is left of what each step wrote, (T, H); 0 for steps that are yet to come.
    """

    state: str
    start: Array
    steps: Array

    @property
    def total(self) -> Array:
        """The sum: the state itself, (H,)."""
        total: Array = self.start + self.steps.sum(0)
        return total


def kept_and_written(layer: LayerTrace) -> tuple[str, Array, Array]:
    """The state's name, the share of it that each step keeps and what the step adds, (T, H) each.

    An LSTM's cell is c_t = f_t c_{t-1} + i_t g_t, a GRU's h_t = z_t h_{t-1} + (1 - z_t) n_t.

    Raises:
        ValueError: the state is no such sum: that of a plain RNN, whose steps each bend all before them, or of a
            layer with zoneout or resets.
    """
    values = layer.values
    if not layer.plain:
        raise ValueError("there is no account of a call with resets or zoneout: they change the state besides the cell")
    if "c" in values:
        return "c", values["f"], values["i"] * values["g"]
    if "z" in values:
        return "h", values["z"], (1 - values["z"]) * values["n"]
    raise ValueError("a plain RNN's state has no account: every step puts all before it through its tanh")


def account(layer: LayerTrace, step: int) -> Account:
    """The state after a step as the sum of what the steps before it wrote: i_k g_k (product of f_j, k < j <= step).

    Args:
        step: counted as in the sequence, also for a layer that reads from its end.

    Raises:
        ValueError: see `kept_and_written`.
        IndexError: there is no such step.
    """
    state, kept, written = kept_and_written(layer)
    if not -len(kept) <= step < len(kept):
        raise IndexError(f"the sequence has {len(kept)} steps, there is no step {step}")
    order = slice(None, None, -1) if layer.reverse else slice(None)
    read = (step % len(kept)) if not layer.reverse else len(kept) - 1 - step % len(kept)  # steps read before this one
    kept = kept[order][: read + 1]
    written = written[order][: read + 1]
    later = np.concatenate([np.cumprod(kept[::-1], axis=0)[::-1][1:], np.ones_like(kept[:1])])  # product of f after k
    steps = np.zeros_like(layer.values[state])
    steps[: read + 1] = written * later
    return Account(state, layer.start[state] * later[0] * kept[0], steps[order])


def half_life(layer: LayerTrace) -> Array:
    """Steps after which half of what a unit holds is gone, by the geometric mean of what it keeps, (H,).

    Infinite where it keeps all.

    Raises:
        ValueError: see `kept_and_written`.
    """
    _, kept, _ = kept_and_written(layer)
    with np.errstate(divide="ignore"):
        result: Array = np.log(0.5) / np.minimum(np.log(kept.astype(np.float64)).mean(0), 0.0)
    return np.where(np.isnan(result), np.inf, np.abs(result))

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
    """Steps after which half of what a unit writes is gone, (H,).

    Of what each step writes, the steps until half of it is left are counted, and the median is taken over the steps,
    each weighing by how much it writes: a unit that holds a mark until the next one lasts long, even though it lets
    go of everything at that next one. Infinite where more than half of what is written is kept to the end.

    Raises:
        ValueError: see `kept_and_written`.
    """
    _, kept, written = kept_and_written(layer)
    order = slice(None, None, -1) if layer.reverse else slice(None)
    kept, written = (values[order].astype(np.float64) for values in (kept, written))
    with np.errstate(divide="ignore"):
        gone = -np.cumsum(np.log2(np.clip(kept, 1e-300, 1.0)), axis=0)  # halvings by the end of each step, (T, H)
    result = np.empty(kept.shape[1])
    for unit, (halvings, amounts) in enumerate(zip(gone.T, np.abs(written).T, strict=True)):
        result[unit] = _weighted_median(_steps_to_half(halvings), amounts)
    return result


def _steps_to_half(halvings: Array) -> Array:
    """Of what is written at each step, the steps until half is left, between steps by a straight line, (T,)."""
    steps = len(halvings)
    goal = halvings + 1
    after = np.searchsorted(halvings, goal, side="left")  # the first step by which half is gone
    inside = after.clip(max=steps - 1)
    before, then = halvings[inside - 1], halvings[inside]
    part = (goal - before) / np.maximum(then - before, 1e-300)
    return np.where(after < steps, after - 1 + part - np.arange(steps), np.inf)


def _weighted_median(values: Array, weights: Array) -> float:
    """The least value at which half of the weight is reached; infinite where all weights are 0."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    if not reached[-1] > 0:
        return float(np.inf)
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])

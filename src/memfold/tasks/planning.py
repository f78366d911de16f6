"""What a fit chooses by looking at the data and at the machine.

A task's rules stand in ``plan.py`` in its folder: from facts about the data, the budget and the machine's speed to
parameters. Every parameter that somebody has set stays as it is.
"""

import functools
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NotRequired

from memfold.budget import Budget
from memfold.errors import InputError, shown
from memfold.files import read_json
from memfold.formats.directory import read_description
from memfold.formats.schema import check, encode
from memfold.tasks.parameters import Parameter

__all__ = ["Plan", "checked_plan", "machine_speed", "read_plan", "seconds_of", "speed_for"]

REFERENCE_SECONDS = 0.034  # of `_measured_step` on two quiet Zen 4 cores, whose speed is 1
REPEATS = 12


@dataclass(frozen=True)
class Plan:
    """What was chosen for a fit.

    Attributes:
        values: parameters by name.
        because: what was seen in the data, in words.
        epochs: how many fit into the budget, by the plan's estimate; None where it makes none.
        speed: of the machine, as `machine_speed` finds it; None where the budget is no time.
    """

    values: Mapping[str, Any]
    because: str = ""
    epochs: float | None = None
    speed: float | None = None

    def among(self, names: Sequence[str]) -> "Plan":
        """The same plan for these parameters alone."""
        return replace(self, values={name: self.values[name] for name in self.values if name in names})

    def __str__(self) -> str:
        chosen = " ".join(f"{name}={_as_set(value)}" for name, value in self.values.items())
        fits = "" if self.epochs is None else f"; some {float(f'{self.epochs:.2g}'):g} epochs fit"
        if fits and self.speed is not None:
            fits += f" at a speed of {self.speed:.2g}"
        return ": ".join(part for part in (self.because, chosen) if part) + fits


def _as_set(value: Any) -> str:
    """A value as ``--set`` takes it."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    plain = value is None or isinstance(value, bool)
    return str(value).lower() if plain else f"{value:g}" if isinstance(value, float) else str(value)


def seconds_of(budget: Budget, default: str) -> float:
    """The seconds of training that a plan reckons with: of a budget in epochs, those of ``default``.

    A plan for so many epochs then depends on the data alone.
    """
    return budget.seconds if budget.seconds is not None else Budget.parse(default).seconds or math.inf


def speed_for(budget: Budget) -> float:
    """The machine's speed where the budget is a time; 1 where it is epochs, which take what they take."""
    import torch

    return 1.0 if budget.seconds is None else machine_speed(torch.get_num_threads())


@functools.cache
def machine_speed(threads: int) -> float:
    """How fast this machine trains on so many threads, as a share of two quiet Zen 4 cores.

    The best of a few steps of an LSTM and a convolution, rounded to a power of the square root of 2, so that the same
    machine is found equally fast again.
    """
    import torch
    from torch import nn

    from memfold.nn import LSTM

    state = torch.get_rng_state()
    layer, convolution = LSTM(128, 128), nn.Conv2d(32, 32, 3, padding=1)
    steps, images = torch.randn(32, 64, 128), torch.randn(64, 32, 32, 32)
    torch.set_rng_state(state)
    best = math.inf
    for _ in range(REPEATS):
        begun = time.perf_counter()
        layer(steps)[0].sum().backward()
        convolution(images).sum().backward()
        best = min(best, time.perf_counter() - begun)
    return float(2 ** (round(2 * math.log2(REFERENCE_SECONDS / best)) / 2))


def read_plan(path: Path) -> dict[str, Any]:
    """A plan from a file: what ``--json`` printed or a model's folder keeps, or the plan alone.

    Raises:
        InputError: there is no such file, or no plan in it.
    """
    file = path / "config.json" if path.is_dir() else path
    try:
        content = read_description(path) if path.is_dir() else read_json(file)
    except FileNotFoundError:
        raise InputError(f"{file}: there is no such file") from None
    plan = content.get("plan", content) if isinstance(content, dict) else content
    if not isinstance(plan, dict):
        raise InputError(f"{file}: expected an object with a plan, got {shown(plan)}")
    return plan


def checked_plan(plan: Mapping[str, Any], parameters: Sequence[Parameter], place: str) -> dict[str, Any]:
    """The values of a plan, held against the parameters that a plan may choose.

    Raises:
        InputError: it names something else, or a value is of another type or out of bounds.
    """
    hints: dict[str, Any] = {p.name: NotRequired[p.hint] for p in parameters}
    check(encode(dict(plan)), hints, place)
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in plan.items()}
    for p in parameters:
        if p.name in values:
            p.check(values[p.name])
    return values

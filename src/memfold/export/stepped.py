"""A part that takes one step, as a function of all steps."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memfold.errors import InputError
from memfold.runtime.recipe import Part, Recipe, Run

__all__ = ["stepped"]


def stepped(recipe: Recipe, runs: Mapping[str, Run]) -> dict[str, Run]:
    """Functions that take all that the parts take, by exported ones that take a step of them.

    Steps of which none has a part's name are given as they are: the task knows what to do with them.

    Raises:
        InputError: a part is other than its form step by step, so that one cannot stand for the other.
    """
    result = dict(runs)
    if not {part.name for part in recipe.parts} & {step.name for step in recipe.steps}:
        return result
    for part in recipe.parts:
        one = next((step for step in recipe.steps if step.name == part.name), None)
        if one is None or list(one.inputs) != list(part.inputs) or list(one.outputs) != list(part.outputs):
            raise InputError(f"{recipe.task}: the steps of {part.name} cannot be scored; check the form of --to onnx")
        if any("time" in axes.values() for axes in part.axes.values()):
            result[part.name] = _looped(part, runs[part.name])
    return result


def _looped(part: Part, run: Run) -> Run:
    """A step over and over, along the first axis of what has one of time."""
    moving = [name for name, axes in part.axes.items() if axes.get(0) == "time"]

    def all_steps(**inputs: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        given, outputs = dict(inputs), []
        for step in range(len(inputs[moving[0]])):
            given |= {name: inputs[name][step : step + 1] for name in moving}
            outputs.append(run(**given))
            given |= {name: outputs[-1][output] for output, name in part.state.items()}
        last = outputs[-1]
        return {
            name: last[name] if name in part.state else np.concatenate([output[name] for output in outputs])
            for name in last
        }

    return all_steps

"""A recipe's parts as functions of arrays: by torch, which is quick, or as files of ONNX."""

from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray

from memfold.runtime.recipe import Part, Recipe, Run

__all__ = ["by_torch", "examples_agree", "run_of_part"]


def by_torch(recipe: Recipe) -> dict[str, Run]:
    """The parts of a recipe by name, computed by their modules."""
    return {part.name: run_of_part(part) for part in recipe.parts}


def run_of_part(part: Part) -> Run:
    """One of them."""

    @torch.no_grad()
    def run(**inputs: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        assert list(inputs) == list(part.inputs)
        outputs = part.module(*(torch.from_numpy(value) for value in inputs.values()))
        outputs = [outputs] if isinstance(outputs, torch.Tensor) else outputs
        return {name: value.numpy() for name, value in zip(part.outputs, outputs, strict=True)}

    return run


def examples_agree(recipe: Recipe) -> None:
    """Every part takes its examples, gives as many outputs as it names, and takes back the state that it gives."""
    for part in (*recipe.parts, *recipe.steps):
        for given in (part.inputs, *part.others):
            assert list(given) == list(part.inputs)
            with torch.no_grad():
                outputs = part.module(*given.values())
            outputs = [outputs] if isinstance(outputs, torch.Tensor) else outputs
            by_name = dict(zip(part.outputs, outputs, strict=True))
            for output, name in part.state.items():
                assert by_name[output].shape == given[name].shape

"""The recurrent operators with each output by itself, as an exporter to ONNX can name them."""

from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

import memfold.nn  # noqa: F401 (defines the operators)

__all__ = ["flattened"]

_library = torch.library.Library("memfold", "FRAGMENT")  # type: ignore[no-untyped-call]


def _define(name: str, operator: Any) -> Any:
    """An operator with the arguments of another, whose outputs are y, h and, for LSTMs, c."""
    arguments = str(operator.default._schema).partition("(")[2].partition(") ->")[0]
    _library.define(f"{name}({arguments}) -> (Tensor, Tensor, Tensor)")  # type: ignore[no-untyped-call]

    def call(*given: Any) -> tuple[Tensor, Tensor, Tensor]:
        y, state, *_ = operator(*given)
        return y, state[0], state[1] if len(state) > 1 else y.new_empty(0)

    _library.impl(name, call, "CompositeExplicitAutograd")  # type: ignore[no-untyped-call]
    flat = getattr(torch.ops.memfold, name)

    def decomposed(*given: Any) -> Any:
        y, h, c = flat(*given)
        state_given = given[2]
        state = [h, c][: len(state_given)]
        return (y, state, y.new_empty(0)) if operator is torch.ops.memfold.fold else (y, state)

    return decomposed


_DECOMPOSED = {
    torch.ops.memfold.fold.default: _define("fold_flat", torch.ops.memfold.fold),
    torch.ops.memfold.compose.default: _define("compose_flat", torch.ops.memfold.compose),
}


def flattened(program: ExportedProgram) -> ExportedProgram:
    """A program whose recurrent operators have their outputs one by one."""
    table = torch.export.default_decompositions()
    flat: ExportedProgram = program.run_decompositions({**table, **_DECOMPOSED})
    return flat

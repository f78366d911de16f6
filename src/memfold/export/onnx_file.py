"""A part of a model as an ONNX file, checked before it is named."""

import contextlib
import inspect
import io
import json
import logging
import re
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.export import Dim

from memfold.errors import InputError
from memfold.export.flat import flattened
from memfold.export.operators import STEP_TABLE, TABLE
from memfold.runtime.onnx_part import run_of
from memfold.runtime.recipe import Part, Run

__all__ = ["Exported", "exported"]

OPSET = 20
LOUD = ("torch.onnx", "onnxscript", "onnx_ir")  # loggers of what is of no use to a person


@dataclass(frozen=True)
class Exported:
    """A part as a file of ONNX.

    Attributes:
        content: of the file.
        nodes: of its graph.
        difference: the largest from torch over all that it was checked with, as a share of an output's largest value or
            of 1.
        seconds: that exporting it took.
    """

    part: str
    content: bytes = field(repr=False)
    nodes: int
    difference: float
    seconds: float


def exported(part: Part, *, step: bool = False, about: Mapping[str, str] | None = None) -> Exported:
    """A part as a file of ONNX, checked.

    Args:
        step: without a loop and without recurrent nodes, of a part that takes one step.
        about: what else the file's metadata are to hold.

    Raises:
        InputError: ONNX has no form for something in it, or the file answers otherwise than torch.
    """
    begun = time.monotonic()
    with torch.no_grad():
        model = _translated(part, STEP_TABLE if step else TABLE)
        difference = _checked(part, model.SerializeToString())
    seconds = time.monotonic() - begun
    metadata = {"difference": f"{difference:.3g}", "state": json.dumps(dict(part.state)), **(about or {})}
    onnx.helper.set_model_props(model, metadata)
    return Exported(part.name, model.SerializeToString(), len(model.graph.node), difference, seconds)


def _checked(part: Part, content: bytes) -> float:
    """The largest difference from torch over the part's examples.

    Raises:
        InputError: it is larger than the part's tolerance, or the file does not run.
    """
    try:
        run = run_of(content)
        differences = [_difference(part, run, given) for given in (part.inputs, *part.others)]
    except Exception as error:  # of ONNX Runtime
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"not written: ONNX Runtime does not run {part.name} ({reason})") from None
    worst = max(differences)
    if not worst <= part.tolerance:
        raise InputError(
            f"not written: {part.name} answers otherwise than the model, by {worst:.2g} where {part.tolerance:g} is "
            "the most"
        )
    return worst


def _difference(part: Part, run: Run, given: Mapping[str, Any]) -> float:
    expected = _outputs(part.module(*given.values()))
    actual = run(**{name: value.numpy() for name, value in given.items()})
    worst = 0.0
    for one, other in zip(actual.values(), expected, strict=True):
        if one.shape != tuple(other.shape):
            raise ValueError(f"a shape of {one.shape} where {tuple(other.shape)} is right")
        worst = max(worst, _share(np.asarray(one), other.numpy()))
    return worst


def _share(actual: NDArray[Any], expected: NDArray[Any]) -> float:
    """The largest difference as a share of the largest value, or of 1; what is infinite must be equal."""
    if not expected.size:
        return 0.0
    if expected.dtype.kind in "biu":
        return float((actual != expected).any())
    finite = np.isfinite(expected)
    if not (np.isfinite(actual) == finite).all() or not (actual[~finite] == expected[~finite]).all():
        return float("inf")
    scale = max(1.0, float(np.abs(expected[finite]).max(initial=0.0)))
    return float(np.abs(actual[finite] - expected[finite]).max(initial=0.0)) / scale


def _outputs(result: Any) -> Sequence[Tensor]:
    return [result] if isinstance(result, Tensor) else list(result)


def _translated(part: Part, table: Mapping[Any, Any]) -> Any:
    shapes = _shapes(part)
    try:
        with _quiet():
            program = torch.export.export(part.module, tuple(part.inputs.values()), dynamic_shapes=shapes)
            written = torch.onnx.export(
                flattened(program),
                dynamo=True,
                custom_translation_table=dict(table),
                input_names=list(part.inputs),
                output_names=list(part.outputs),
                opset_version=OPSET,
                verbose=False,
            )
            assert written is not None
            _free_names(written.model.graph, part)
            model = written.model_proto
    except Exception as error:  # of the exporter, each in its own way
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        raise InputError(f"{part.name} cannot be exported: {' '.join(str(cause).split())[:300]}") from None
    _name_axes(model.graph, part)
    return model


def _free_names(graph: Any, part: Part) -> None:
    """Rename what bears the name of an input or an output inside, which the exporter does not look at."""
    taken = {*part.inputs, *part.outputs}
    outside = {id(value) for value in (*graph.inputs, *graph.outputs)}
    inside = [value for node in graph.all_nodes() for value in node.outputs] + list(graph.initializers.values())
    for value in inside:
        if value.name in taken and id(value) not in outside:
            value.name = f"{value.name}_inside"


def _name_axes(graph: Any, part: Part) -> None:
    """Give the free axes their names, for which the exporter has some of its own."""
    names: dict[str, str] = {}
    for entry in graph.input:
        for axis, name in part.axes.get(entry.name, {}).items():
            symbol = entry.type.tensor_type.shape.dim[axis].dim_param
            names[symbol.rpartition("*")[2]] = name.rpartition("*")[2]
    for entry in (*graph.input, *graph.output, *graph.value_info):
        for dim in entry.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = re.sub(r"\w+", lambda word: names.get(word[0], word[0]), dim.dim_param)


def _shapes(part: Part) -> tuple[Any, ...]:
    """The free axes as torch.export takes them."""
    dims: dict[str, Any] = {}

    def dim(name: str) -> Any:
        factor, star, plain = name.rpartition("*")
        size = dims.setdefault(plain, Dim(plain, max=2**20))
        return int(factor) * size if star else size

    shapes = tuple({axis: dim(name) for axis, name in part.axes.get(given, {}).items()} for given in part.inputs)
    kinds = {parameter.kind for parameter in inspect.signature(part.module.forward).parameters.values()}
    return (shapes,) if inspect.Parameter.VAR_POSITIONAL in kinds else shapes


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says to its developers."""
    loggers = [logging.getLogger(name) for name in LOUD]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)

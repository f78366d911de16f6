"""A part of a model that is a function of tensors, for whoever runs it elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Part"]


@dataclass(frozen=True)
class Part:
    """A function of tensors.

    Attributes:
        name: of the part, such as ``encoder``; of the only one ``model``.
        module: that computes it, of torch, in evaluation mode.
        inputs: examples by name, in the order of the module's arguments.
        axes: of an input, its free axes by number, each with a name such as ``batch``, ``time`` or ``height``; a name
            of the form ``16*height`` is a multiple.
        outputs: names, in the order of what the module returns.
        state: of an output, the input that takes it at the next call.
        others: inputs of other sizes, to check with; rows of length 0 and 1 among them where rows have lengths.
    """

    name: str
    module: Any
    inputs: Mapping[str, Any]
    axes: Mapping[str, Mapping[int, str]]
    outputs: Sequence[str]
    state: Mapping[str, str] = field(default_factory=dict)
    others: Sequence[Mapping[str, Any]] = ()

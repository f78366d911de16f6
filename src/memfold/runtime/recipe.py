"""What a model is made of, for whoever runs it elsewhere: parts of tensors, and what a caller does around them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Part", "Recipe"]


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


@dataclass(frozen=True)
class Recipe:
    """A model as parts, and as plain JSON what stands around them.

    Attributes:
        task: its name.
        parts: in the order in which they are called.
        around: what a caller does before, between and after: of a closed set of kinds, each an object with ``kind``.
        left_out: what of the model is in no part and not around them, in words; a model without it may answer
            otherwise.
    """

    task: str
    parts: Sequence[Part]
    around: Mapping[str, Any] = field(default_factory=dict)
    left_out: Sequence[str] = ()

"""What a model is made of, for whoever runs it elsewhere: parts of tensors, and what a caller does around them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from numpy.typing import NDArray

__all__ = ["ALONE", "Part", "Recipe", "Run"]

ALONE = "the network alone"  # among what an answer is made of


class Run(Protocol):
    """A part that was exported, as a function of arrays by name."""

    def __call__(self, **inputs: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        """The part's outputs by name."""


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
        state: of an output, the input that takes it at the next call; a state begins with zeros.
        others: inputs of other sizes, to check with; rows of length 0 and 1 among them where rows have lengths.
        tolerance: the largest difference that is let pass, as a share of the largest value of an output, or of 1.
    """

    name: str
    module: Any
    inputs: Mapping[str, Any]
    axes: Mapping[str, Mapping[int, str]]
    outputs: Sequence[str]
    state: Mapping[str, str] = field(default_factory=dict)
    others: Sequence[Mapping[str, Any]] = ()
    tolerance: float = 1e-4


@dataclass(frozen=True)
class Recipe:
    """A model as parts, and as plain JSON what stands around them.

    Attributes:
        task: its name.
        parts: in the order in which they are called.
        around: what a caller does before, between and after, by its kind, such as ``pixels``, ``characters``,
            ``beam_search`` or ``classes``, each with what it takes.
        files: that a caller needs beside the parts, by name, such as those of sentencepiece.
        steps: the parts for one step, without axes of time, where the model can go step by step.
        no_steps: where it cannot, why.
        left_out: what of the model is in no part, in words; without it a model may answer otherwise.
    """

    task: str
    parts: Sequence[Part]
    around: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    steps: Sequence[Part] = ()
    no_steps: str = ""
    left_out: Sequence[str] = ()

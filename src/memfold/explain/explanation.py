"""What a report shows of one input: the trace, what the answer owes to each step, and the task's own pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor, nn

from memfold.drawing import Drawing
from memfold.explain.attribution import inputs_of, integrated_gradients, occlusion, substituted
from memfold.explain.stepping import gradient_flow
from memfold.explain.trace import Array, Trace
from memfold.explain.units import Follower
from memfold.nn.layer import Recurrent

__all__ = ["Explainable", "Explanation", "Picture", "Shares", "explained", "flow_of", "shares_of", "shares_of_inputs"]


@dataclass(frozen=True)
class Picture:
    """A drawing with its heading and text, in the report's language."""

    heading: str
    text: str
    drawing: Drawing


@dataclass(frozen=True)
class Shares:
    """What a score owes to each step.

    Attributes:
        score: what the score is, in the report's language.
        labels: of the steps, T.
        methods: by a key of the words' table, a number for each step, (T,).
    """

    score: str
    labels: Sequence[str]
    methods: dict[str, Array]


@dataclass(frozen=True)
class Explanation:
    """One input explained.

    Attributes:
        task: its name.
        source: what was read, in short.
        answer: what the model said of it.
        trace: of its recurrent layers.
        first: the layer that is shown first.
        joint: what stands between the steps where they are pieces of a text, as between words; None where they are not.
        flow: by layer, the norm of the score's gradient by h at every step, (T,).
        followers: by layer, units that follow something.
        language: in which all this is said, ``en`` or ``zh``.
    """

    task: str
    source: str
    answer: str
    trace: Trace
    first: str
    joint: str | None
    pictures: list[Picture]
    shares: Shares | None = None
    flow: dict[str, Array] = field(default_factory=dict)
    followers: dict[str, list[Follower]] = field(default_factory=dict)
    language: str = "en"

    def _repr_html_(self) -> str:
        """The page of `write_explanation`, for a notebook."""
        from memfold.explain.report import explanation_page
        from memfold.page import framed

        return framed(explanation_page(self, self.language))


class Explainable(Protocol):
    """A model that explains itself, as those of all tasks do."""

    def explain(self, source: str, language: str = "en") -> Explanation: ...


def explained(model: Explainable, source: str, language: str = "en") -> Explanation:
    """What a fitted model makes of one input, by its own `explain`.

    Args:
        source: a file; for a model that reads text, also the text itself.
        language: of what is said, ``en`` or ``zh``.

    Raises:
        InputError: an input that cannot be read, another language, or a task that has no view.
    """
    return model.explain(source, language)


def shares_of(score: Callable[[Tensor], Tensor], x: Tensor) -> dict[str, Array]:
    """What a score owes to each step of x (T, ...), against the mean of the steps in its place."""
    mean = x.mean(0, keepdim=True).expand_as(x)
    shares = integrated_gradients(score, x, mean).reshape(len(x), -1).sum(1)
    return {"integrated gradients": shares.numpy(), "occlusion": occlusion(score, x, mean).numpy()}


def shares_of_inputs(layers: Sequence[Recurrent], run: Callable[[], Tensor]) -> dict[str, Array]:
    """What a score owes to each step that some layers read side by side.

    Args:
        layers: those that read the input, none of which reads another's output.
        run: calls the network on one row and returns the score.
    """

    def score(read: Tensor) -> Tensor:
        with substituted(layers, read):
            return run()

    return shares_of(score, inputs_of(layers, run))


def flow_of(network: nn.Module, run: Callable[[], Tensor]) -> dict[str, Array]:
    """`gradient_flow` of every layer's h, as arrays."""
    return {name: norms.numpy() for name, norms in gradient_flow(network, run).items() if not name.endswith("/c")}

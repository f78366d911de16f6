"""The steps of a task: what a task gives, so that it takes the course that all share (`memfold.tasks.model`)."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from memfold.budget import Budget
from memfold.errors import InputError
from memfold.runtime.recipe import Run
from memfold.tasks.contest import Contest
from memfold.tasks.fit_data import FitData
from memfold.tasks.planning import Plan
from memfold.tasks.report import Metric
from memfold.words import Words

if TYPE_CHECKING:
    import polars as pl
    from torch import nn

    from memfold.page import Section
    from memfold.training import Problem

__all__ = ["Steps"]


class Steps(ABC):
    """What a task is made of: its names, and each step of reading, training, answering and keeping.

    Attributes:
        name: of the task.
        metrics: its own, the first of which is what `score` gives.
        budget: of a fit that is given none.
        loop: what is special in the settings of the training loop.
        kind: what scikit-learn takes it for, such as "classifier".
        column: of the table of answers that holds the answer, where there is one to each input.
        needs: what ``memfold predict`` needs, and an example, for its error.
        then: what to type after a fit, with ``{out}`` and ``{data}`` in it.
        hears: whether ``memfold stream`` gives it sound rather than lines.
        halves: whether ``precision=auto`` may be bfloat16: where a training was measured to be faster in it, and its
            scores as good.
        recalls: whether `answer` takes ``train``, what the model was trained on, for a baseline that looks it up.
        runtime: the kind of pipeline through which it answers without torch; "" where it needs torch.
    """

    name: ClassVar[str]
    metrics: ClassVar[tuple[Metric, ...]]
    budget: ClassVar[str] = "3m"
    loop: ClassVar[Mapping[str, float]] = {}
    kind: ClassVar[str | None] = None
    column: ClassVar[str | None] = None
    needs: ClassVar[tuple[str, str]] = ("files", "FILE")
    then: ClassVar[str] = ""
    hears: ClassVar[bool] = False
    halves: ClassVar[bool] = False
    recalls: ClassVar[bool] = False
    runtime: ClassVar[str] = ""

    # -- reading ------------------------------------------------------------------------------------------------

    @abstractmethod
    def read(self, data: Any) -> Any:
        """Examples to train on or to score, from a path, a frame or what was read before.

        Raises:
            InputError: naming the file, and the place in it, of what cannot be read.
        """

    def labelled(self, X: Any, y: Any) -> Any:
        """Examples from inputs and their answers, which scikit-learn gives apart.

        Raises:
            InputError: the task takes none, or the two do not fit each other.
        """
        raise InputError(f"{self.name} takes no y; the answers are in the data")

    def inputs(self, data: Any) -> Any:
        """What to predict for, without the answers; as `read` gives examples."""
        return self.read(data)

    @abstractmethod
    def read_files(self, paths: Sequence[str]) -> Any:
        """All that is in a person's files."""

    @abstractmethod
    def hold_out(self, examples: Any) -> tuple[Any, Any]:
        """What to train on, and what is scored once at the end."""

    @abstractmethod
    def split(self, examples: Any) -> tuple[Any, Any]:
        """What to train on, and what to validate on."""

    def summary(self, examples: Any) -> dict[str, str]:
        """What was read, in words by what they are of, for a person to see before the training: how many examples,
        which columns or classes, how it was read, what was left out."""
        return {"examples": f"{len(examples):,}"} if hasattr(examples, "__len__") else {}

    # -- training -----------------------------------------------------------------------------------------------

    def plan(self, train: Any, valid: Any, budget: Budget, speed: float) -> Plan:
        """Parameters for these examples, of those that a plan may choose.

        What somebody has set stays as it is, whatever the plan says of it.

        Args:
            train, valid: what `split` gave.
            speed: of the machine, as `machine_speed` finds it.
        """
        return Plan({})

    @abstractmethod
    def prepare(self, data: FitData) -> Any:
        """Find what is fitted before the training, and bring both parts into the form that `problem` takes.

        Returns:
            Arrays, tensors and what is made of them; a checkpoint belongs to these very values.
        """

    @abstractmethod
    def network(self) -> "nn.Module":
        """The network, by the parameters and by what `prepare` found, with its first weights."""

    @abstractmethod
    def problem(self, network: Any, ready: Any) -> "Problem":
        """What the training loop works on."""

    def finish(self, data: FitData, ready: Any) -> Contest | None:
        """Find what is fitted after the training: thresholds, baselines, and how much each has in the answer.

        Returns:
            Who was best on the validation part; None where nothing can be compared there.
        """
        return None

    def complete(self, network: Any) -> None:  # noqa: B027
        """Add to a network what `finish` adds, of the same shapes, for a stored model's weights to be loaded into."""

    # -- answering and scoring ----------------------------------------------------------------------------------

    @abstractmethod
    def answer(self, examples: Any) -> Any:
        """What the model makes of examples; a task's own options of `evaluate` follow."""

    @abstractmethod
    def table(self, examples: Any, answers: Any) -> "pl.DataFrame":
        """Answers as a table for a person, the inputs' columns first."""

    def examine(self, examples: Any) -> None:  # noqa: B027
        """Say what makes the scores of examples better than the model is, such as its own training data among them."""

    @abstractmethod
    def scores(self, examples: Any, answers: Any) -> dict[str, float]:
        """How good answers are, the model's or a baseline's, by the metrics' names."""

    @abstractmethod
    def baselines(self, examples: Any, answers: Any) -> dict[str, Any]:
        """The baselines' answers by name, the task's standard one first."""

    def details(self, examples: Any, answers: Any, seconds: float) -> Sequence[Any]:
        """Tables and texts that a terminal shows below the scores; answering took so many seconds.

        What of it `said` gives, a page says in its own language.
        """
        return ()

    def signatures(self, examples: Any, answers: Any) -> Mapping[str, str]:
        """Of metrics that have one, how they were computed."""
        return {}

    def sections(self, examples: Any, answers: Any, words: Words) -> "Sequence[Section]":
        """The task's own pictures of an evaluation: heading, text and drawing of each, in the page's language."""
        return ()

    # -- keeping ------------------------------------------------------------------------------------------------

    def fitted_files(self) -> dict[str, bytes]:
        """Files of the encoder that are kept beside the weights, by a name in `ENCODERS`."""
        return {}

    def restore_files(self, files: dict[str, bytes]) -> None:  # noqa: B027
        """Take back what `fitted_files` gave; called before the rest of what fitting found is there."""

    def check_restored(self) -> None:  # noqa: B027
        """Raise InputError where what fitting is said to have found does not fit each other or the parameters."""

    def add_to(self, pipeline: Any) -> None:  # noqa: B027
        """Add to a pipeline what only a task with torch can."""

    def put_parts(self, pipeline: Any, parts: Mapping[str, Run]) -> None:  # noqa: B027
        """Let a pipeline answer through exported parts in place of its network."""

"""A task as people use it: read, fit, evaluate, predict, explain, save and load. A task gives its steps.

What ``read``, ``answer`` and ``table`` of a task need imports no torch before a network is made or loaded.
"""

import copy
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from memfold.data.datasets import DataSet, known_set
from memfold.data.unreadable import leave_out
from memfold.display import say
from memfold.errors import InputError
from memfold.files import check_file, check_new_folder, write_into
from memfold.runtime.recipe import Recipe, Run
from memfold.tasks.fit_data import FitData
from memfold.tasks.fitting import Fitting
from memfold.tasks.report import Parts, Report
from memfold.tasks.updating.kept import kept_sources
from memfold.words import Words

if TYPE_CHECKING:
    import polars as pl

    from memfold.explain import Explanation
    from memfold.tasks.estimator import Estimator

__all__ = ["FitData", "Task", "one_source"]


def one_source(data: Sequence[str]) -> str:
    """The one path of a task that reads no more.

    Raises:
        InputError: there are several.
    """
    if len(data) != 1:
        raise InputError(f"{len(data)} files given; this task reads one")
    return data[0]


class Task(Fitting):
    """A model for one kind of data.

    A subclass names its parameters and what fitting finds as fields, and gives the steps of the course (`Steps`).
    """

    # -- data ------------------------------------------------------------------------------------------------

    def read_each(self, paths: Sequence[str], read: Callable[[Path], Any] | None = None) -> list[Any]:
        """What ``read``, the task's own when None, gives of each file.

        Those that cannot be read are left out, and named on standard error.

        Raises:
            InputError: none of them can be read.
        """
        parts, broken = [], []
        for path in paths:
            try:
                parts.append((read or self.read)(Path(path)))
            except InputError as error:
                broken.append(str(error))
        if not parts:
            raise InputError(broken[0] + (f"; nor can the {len(broken) - 1} others be read" if broken[1:] else ""))
        leave_out(broken, len(paths), "files")
        return parts

    def known_parts(self, known: DataSet) -> Parts:
        """The parts of a known data set, as its loader gives them."""
        train, test, *valid = known.load(self.get_params())
        return self._with_scoring(train, test, *valid)

    def own_parts(self, data: Sequence[str]) -> Parts:
        """A person's files, and the part of them that is held out and scored once."""
        return self._with_scoring(*self.hold_out(self.read_files(data)))

    def _with_scoring(self, train: Any, test: Any, valid: Any = None) -> Parts:
        return Parts(train, test, valid, {"train": train} if self.recalls else {})

    @classmethod
    def known_set(cls, data: Sequence[str]) -> DataSet | None:
        """The data set that inputs name, as ``@NAME``; None when they are a person's files.

        Raises:
            InputError: there is no such data set, or it is for another task.
        """
        return known_set(data, cls.name)

    @classmethod
    def known_parameters(cls, data: Sequence[str]) -> dict[str, Any]:
        """The parameters that a known data set (``@NAME``) comes with; none for a person's own data.

        Raises:
            InputError: there is no such data set, or it is for another task.
        """
        known = cls.known_set(data)
        return {} if known is None else dict(known.parameters)

    def parts(self, data: Sequence[str]) -> Parts:
        """The parts of a person's files or of a known data set (``@NAME``).

        Raises:
            InputError: parameters or files that cannot be worked with.
        """
        self.check()
        known = self.known_set(data)
        return self.own_parts(data) if known is None else self.known_parts(known)

    # -- going on from a model -------------------------------------------------------------------------------

    def update(self, X: Any, y: Any = None, *, budget: str | None = None, progress: bool = True) -> Self:
        """Go on from the weights of this model with new data. It stays as it was until the end, as in `fit`.

        Classes and vocabulary may grow; what the network reads is scaled as before. What an earlier fit held out is
        held out again where it is among the new data. Where the model knows where its old data is, and it is still
        there, that is given again beside the new.

        Args:
            X, y, budget, progress: as for `fit`.

        Raises:
            InputError: not fitted yet, or data that cannot be worked with.
        """
        from memfold.tasks.updating.course import update

        task: Any = update(self, X, y, budget or self.budget, progress)
        self.become(task)
        return self

    def note_data(self, sources: Sequence[str], test: Any) -> None:
        """Keep in mind where the data is that the model was fitted to, and what was held out to be scored."""
        self.kept_ = kept_sources(self, sources, test)

    # -- answers and scores ----------------------------------------------------------------------------------

    def predict(self, data: Any) -> "pl.DataFrame":
        """Answers as `table` describes them.

        Args:
            data: what `inputs` takes.

        Raises:
            InputError: not fitted yet, or data that cannot be worked with.
        """
        self.check_fitted()
        inputs = self.inputs(data)
        return self.table(inputs, self.answer(inputs))

    def array(self, X: Any) -> Any:
        """The answer to every input as an array, ``(N,)``: the column `column` of the table.

        Raises:
            InputError: not fitted yet, inputs that cannot be worked with, or a task without one answer to an input.
        """
        if self.column is None:
            raise InputError(f"{self.name} has no single answer to each input; use predict")
        self.check_fitted()
        inputs = self.inputs(X)
        return self.table(inputs, self.answer(inputs))[self.column].to_numpy()

    def score(self, X: Any, y: Any = None) -> float:
        """The first of the task's metrics, with its sign turned where less is better.

        Args:
            X, y: as for `fit`.

        Raises:
            InputError: not fitted yet, or data that cannot be scored.
        """
        self.check_fitted()
        examples = self._examples(X, y)
        first = self.metrics[0]
        return first.signed(self.scores(examples, self.answer(examples))[first.name])

    def evaluate(
        self, data: Any, name: str = "", *, report: str | Path | None = None, lang: str = "en", **options: Any
    ) -> Report:
        """Score the model beside the baselines.

        Args:
            data: examples as `read` takes them, on which the model was not trained.
            name: what to call them in the report.
            report: page to write.
            lang: language of the page, ``en`` or ``zh``.
            options: of `answer`.

        Raises:
            InputError: not fitted yet, data that cannot be scored, a page that cannot be written, or another language.
        """
        self.check_fitted()
        words = Words(lang)
        if report is not None:
            check_file(Path(report))
        begun = time.monotonic()
        examples = self.read(data)
        self.examine(examples)
        started = time.perf_counter()
        answers = self.answer(examples, **options)
        seconds = time.perf_counter() - started
        # Score the model, and the baselines beside it.
        metrics = self.scores(examples, answers)
        beside = {other: self.scores(examples, its) for other, its in self.baselines(examples, answers).items()}
        better = {metric.name: metric.better for metric in self.metrics}
        result = Report(self.name, name, metrics, beside, self.parameter_count, self.seed, better=better, language=lang)
        result.plan, result.winner = dict(self.plan_), None if self.contest_ is None else self.contest_.winner
        result.shown, result.signatures = self._shown(examples, answers, seconds), self.signatures(examples, answers)
        if report is not None:
            self.write_page(Path(report), result, examples, answers, words)
        result.seconds = time.monotonic() - begun
        return result

    def write_page(self, path: Path, report: Report, examples: Any, answers: Any, words: Words) -> None:
        """Write a page on an evaluation."""
        from memfold.tasks.page import write_evaluation  # which loads what draws

        sections = self.sections(examples, answers, words)
        training, contest = (vars(self).get(name) for name in ("training_", "contest_"))
        write_evaluation(path, report, sections, training, contest, self._footer(words), words)

    def _footer(self, words: Words) -> str:
        return words("footer evaluation", count=self.parameter_count, model=repr(self))

    def _shown(self, examples: Any, answers: Any, seconds: float) -> Sequence[Any]:
        """The details; where they need torch and there is none, nothing, which is said."""
        try:
            return self.details(examples, answers, seconds)
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            say("the scores' details need torch, which is not installed; they are left out")
            return ()

    # -- the command line ------------------------------------------------------------------------------------

    def answers(self, inputs: Sequence[str]) -> "pl.DataFrame | Iterator[str]":
        """What ``memfold predict`` writes for its inputs, a table or pieces of text; a task's own options follow."""
        self._require_inputs(inputs)
        if self.known_set(inputs):
            return self.predict(self.parts(inputs).test)
        return self.predict(inputs)

    def _require_inputs(self, inputs: Sequence[str]) -> None:
        self.check_fitted()
        if not inputs:
            what, example = self.needs
            raise InputError(f"predict needs {what}: memfold predict MODEL {example}")

    def next_command(self, out: Path, data: Sequence[str]) -> str:
        """What to type next, said after a fit."""
        then = self.then or f"memfold predict {{out}} {self.needs[1]}"
        return then.format(out=shlex.quote(str(out)), data=shlex.join(data))

    def respond(self, line: str) -> Iterator[str]:
        """What ``memfold stream`` writes for a line that it has read, piece by piece.

        Raises:
            InputError: the task does not work line by line.
        """
        raise InputError(f"a {self.name} model does not answer line by line; use memfold predict")

    def listen(self, source: BinaryIO) -> Iterator[str]:
        """What ``memfold stream`` writes, a line each, for sound that comes in.

        Raises:
            InputError: the task hears nothing, or the sound cannot be read.
        """
        raise InputError(f"a {self.name} model takes no sound")

    # -- explanations and drawings ---------------------------------------------------------------------------

    def explain(self, source: str, language: str = "en") -> "Explanation":
        """What the model makes of one input, by ``view`` in the module of that name beside the task's class.

        Args:
            source: a file; for a model that reads text, also the text itself.
            language: of what is said, ``en`` or ``zh``.

        Raises:
            InputError: not fitted yet, an input that cannot be read, another language, or a task that has no view.
        """
        self.check_fitted()
        self.network_.eval()
        explanation: Explanation = self.beside("view", "explained").view(self, source, Words(language))
        return replace(explanation, language=language)

    def draw(self, inputs: Sequence[str], answers: Any, folder: Path) -> list[Path]:
        """Draw answers into a folder, a file a series as SVG or a picture as PNG, by ``drawn`` beside the task's class.

        Args:
            inputs: what `answers` was given.
            answers: what it gave.
            folder: is made where it is not there.

        Returns:
            The files.

        Raises:
            InputError: a task whose answers are no pictures, or a folder that holds something already.
        """
        module = self.check_drawing(folder)
        files: list[Path] = []
        for name, content in module.drawn(self, inputs, answers):
            stem = re.sub(r"[^\w .-]", "_", name).strip(". ")[:80] or "series"
            again = sum(file.stem == stem or file.stem.startswith(f"{stem} (") for file in files)
            ending = ".png" if content.startswith(b"\x89PNG") else ".svg"
            files.append(folder / f"{stem}{f' ({again + 1})' if again else ''}{ending}")
            write_into(files[-1], content)
        return files

    def check_drawing(self, folder: Path) -> ModuleType:
        """Make sure, before the work, that answers can be drawn into a folder; what draws them.

        Raises:
            InputError: as `draw`.
        """
        self.check_fitted()
        module = self.beside("drawn", "drawn (its answers are words or numbers)")
        check_new_folder(folder)
        return module

    # -- leaving memfold -------------------------------------------------------------------------------------

    def recipe(self) -> Recipe:
        """The model as parts that are functions of tensors, and what a caller does around them.

        It is made by ``recipe`` in the module of that name beside the task's class.

        Raises:
            InputError: not fitted yet, or a task that has none.
        """
        self.check_fitted()
        self.network_.eval()
        result: Recipe = self.beside("recipe", "exported").recipe(self)
        return result

    def through(self, exported: Mapping[str, Run]) -> Self:
        """A copy that answers through exported parts, by their names, in place of its network."""
        result = copy.copy(self)
        vars(result).pop("pipeline", None)
        vars(result)["_exported"] = exported
        return result

    def as_sklearn(self) -> "Estimator":
        """An estimator of scikit-learn with these parameters, whose ``predict`` returns an array."""
        from memfold.tasks.estimator import Estimator

        return Estimator(self)

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn wants to know of an estimator."""
        from memfold.tasks.estimator import tags_of

        return tags_of(self)

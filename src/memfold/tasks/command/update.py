"""What an update must know of a recogniser of commands."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from memfold.data.commands import Recordings, split_background
from memfold.data.commands import joined as of_all
from memfold.data.row_keys import file_keys
from memfold.runtime.hearing.cepstra import STATISTICS
from memfold.tasks.command.baselines import CepstralRegression
from memfold.tasks.command.hearing import Heard
from memfold.tasks.command.report import Answers
from memfold.tasks.updating.padding import with_columns

if TYPE_CHECKING:
    from memfold.tasks.command.task import CommandRecognizer

__all__ = ["SCALING", "answers", "carried", "joined", "keys", "places", "take", "tidied"]

SCALING = ("front.mean", "front.scale")
NEVER = 10.0  # nats by which a command that was never heard is less likely


def keys(examples: Recordings) -> list[str]:
    """What tells the recordings apart: the file's content, of samples the samples'."""
    return file_keys(examples.paths, lambda place: str(examples.paths[place]))


def take(examples: Recordings, rows: Sequence[int]) -> Recordings:
    """Some of the recordings, and all of the background."""
    return examples.take(rows)


def joined(parts: Sequence[Heard]) -> Heard:
    """All recordings of several."""
    whole = of_all(parts)
    background = tuple(dict.fromkeys(whole.background))
    known = (whole.name, whole.paths, whole.labels, whole.speakers, background)
    frames = [rows for part in parts for rows in part.frames]
    return Heard(
        *known,
        frames=frames,
        statistics=np.concatenate([part.statistics for part in parts]),
        rate=parts[0].rate,
        held=whole.held,
    )


def tidied(train: Heard, valid: Heard) -> tuple[Heard, Heard]:
    """The same with each part's own share of the background."""
    background = tuple(dict.fromkeys([*train.background, *valid.background]))
    if set(train.background) & set(valid.background):
        training, held = split_background(background)
        return replace(train, background=training), replace(valid, background=held)
    return train, valid


def places(task: "CommandRecognizer") -> Mapping[str, Sequence[int]]:
    """Where the rows of the last layer go: new commands stand between the old ones and that of no command."""
    assert task.begun is not None
    old, new = len(task.begun.model.commands_), len(task.commands_)
    rows = [*range(old), new]
    return {"out.weight": rows, "out.bias": rows}


def answers(task: "CommandRecognizer", before: "CommandRecognizer", examples: Heard) -> Any:
    """The earlier model's probabilities, 0 of the commands that it does not know; without a stream."""
    known = before.answer(replace(examples, labels=[""] * len(examples.labels)))
    count = len(before.commands_)
    columns = known.classes
    grown = with_columns(columns[:, :count], len(task.commands_))
    return Answers(np.concatenate([grown, columns[:, count:]], 1))


def carried(task: "CommandRecognizer") -> CepstralRegression:
    """The earlier baseline, with commands that it never answers: fitted to the new recordings alone it would know these
    better, and the others no more."""
    assert task.begun is not None
    old: CepstralRegression = task.begun.model.network_.baseline
    model = CepstralRegression(STATISTICS, len(task.commands_))
    model.mean.copy_(old.mean)
    model.scale.copy_(old.scale)
    model.weight[: len(old.weight)] = old.weight
    model.bias.fill_(float(old.bias.min()) - NEVER)
    model.bias[: len(old.bias)] = old.bias
    return model

"""What an update must know of a recogniser of commands."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from memfold.data.commands import Recordings, split_background
from memfold.data.commands import joined as of_all
from memfold.data.row_keys import file_keys
from memfold.runtime.hearing.cepstra import STATISTICS
from memfold.tasks.command.baselines import CepstralRegression
from memfold.tasks.command.hearing import Heard
from memfold.tasks.command.report import Answers
from memfold.tasks.contest import cross_entropy
from memfold.tasks.updating.padding import with_columns

if TYPE_CHECKING:
    from memfold.tasks.command.task import CommandRecognizer

__all__ = ["SCALING", "answers", "better", "joined", "keys", "places", "take", "tidied"]

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


def better(
    task: "CommandRecognizer", fresh: CepstralRegression | None, valid: Heard, truth: NDArray[np.int64]
) -> tuple[CepstralRegression, bool]:
    """The earlier baseline or that of the new recordings, whichever says more of the validation part; and whether it is
    the earlier one.

    Args:
        fresh: None where the new recordings lack a command.
    """
    assert task.begun is not None
    old: CepstralRegression = task.begun.model.network_.baseline
    carried = CepstralRegression(STATISTICS, len(task.commands_))
    carried.mean.copy_(old.mean)
    carried.scale.copy_(old.scale)
    carried.weight[: len(old.weight)] = old.weight
    carried.bias.fill_(float(old.bias.min()) - NEVER)
    carried.bias[: len(old.bias)] = old.bias
    if fresh is None:
        return carried, True
    losses = [cross_entropy(model.log_probabilities(valid.statistics), truth) for model in (carried, fresh)]
    return (carried, True) if losses[0] < losses[1] else (fresh, False)

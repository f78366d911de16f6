"""How a recogniser of commands is trained, by how many recordings there are and how much time."""

import math
from dataclasses import dataclass

from memfold.tasks.planning import Plan

__all__ = ["Commands", "plan"]

UPDATES = 2000  # steps of the optimiser, from which on larger batches serve better than more of them
LEAST_BATCH, BATCH = 16, 64  # recordings in a step
CHAINED, AROUND = 1.25, 40  # what augmentation makes of a recording's frames: longer by so much, and so many more
COST = 9e-6  # seconds for a frame of a recording, at speed 1


@dataclass(frozen=True)
class Commands:
    """What is seen in the recordings.

    Attributes:
        recordings: how many.
        commands: different ones.
        frames: of a recording, on average, 100 a second.
        background: whether there is some, which doubles the frames of a step.
        rate: samples a second.
    """

    recordings: int
    commands: int
    frames: float
    background: bool
    rate: int

    def __str__(self) -> str:
        return (
            f"{self.recordings:,} recordings of {self.commands} commands, {self.frames / 100:.1f} s each at "
            f"{self.rate:,} samples a second"
        )


def plan(seen: Commands, seconds: float, speed: float, batch_size: int | None) -> Plan:
    """So many recordings a step that there are enough steps.

    With a tenth of the spoken digits (270 recordings) a minute on one core makes 485 steps of 64 recordings; the
    loss still falls then, as it does with 96 recordings of 4 commands.

    Args:
        seconds: of training.
        speed: of the machine.
        batch_size: the one that is set; None leaves it to the plan.
    """
    row = (CHAINED * seen.frames + AROUND) * (2 if seen.background else 1)
    rows = seconds * speed / (COST * row)
    wanted = min(max(rows / UPDATES, LEAST_BATCH), BATCH)
    batch = batch_size or 2 ** round(math.log2(wanted))
    return Plan({"rate": seen.rate, "batch_size": batch}, str(seen), rows / seen.recordings)

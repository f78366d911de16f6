"""What a fit of a forecaster chooses by looking: how large a network, how much dropout, how many to average."""

from dataclasses import dataclass

from memfold.tasks.planning import Plan

__all__ = ["SeriesFacts", "most_epochs", "plan"]

DECODER = 3e4  # multiply-adds of a step ahead in the decoder
SECONDS_PER_OPERATION = 6e-11  # of training at speed 1, measured with 16 to 128 units
SECONDS_PER_STEP = 2e-3  # whatever it holds
BATCH = 64
MANY_SERIES = 50
MEMBERS = 4
MOST_BUNDLED = 1000  # steps ahead, for which the bundled forecaster was made
ENOUGH_EPOCHS = 30  # that several members must still get
MOST_EPOCHS, FEWEST_STEPS = 240, 1000


@dataclass(frozen=True)
class SeriesFacts:
    """What a table is like.

    Attributes:
        series: how many.
        windows: horizons in all of them together.
        steps: that the LSTM reads in a window.
        horizon: steps ahead.
    """

    series: int
    windows: int
    steps: int
    horizon: int


def plan(facts: SeriesFacts, seconds: float, speed: float) -> Plan:
    """Parameters for a table.

    Args:
        seconds: of training.
        speed: of the machine, as `memfold.tasks.planning.machine_speed` has it.
    """
    # Many series show one network many courses: the 414 of M4 do best with much of it and little dropout. A single one
    # is soon known by heart: of single months and weeks (30 to 260 values) 4 networks of 16 units with a dropout of 0.3
    # alone had a MASE of 1.52 and 1.00, one of 128 with 0.1 1.63 and 1.60; half hours of taxis (200 windows) and days
    # of births (520) were tuned to 32 and 64 units, four of each.
    linear = False
    if facts.series >= MANY_SERIES:
        hidden, dropout, members = 128, 0.1, 1
    elif facts.windows < 100:
        hidden, dropout, members = 16, 0.3, MEMBERS
    elif facts.windows < 400:
        hidden, dropout, members = 32, 0.3, MEMBERS
    else:
        # A linear map of the past lowered the error of validation by 1 and 2 % on births, 3 % on transformers; on taxis
        # and M4 trials differ.
        hidden, dropout, members, linear = 64, 0.2, MEMBERS, True
    epochs = _epochs(facts, hidden, members, seconds, speed)
    if members > 1 and epochs < ENOUGH_EPOCHS:
        members = 1
        epochs = _epochs(facts, hidden, members, seconds, speed)
    series = f"{facts.series:,} series" if facts.series > 1 else "1 series"
    values = {
        "hidden_size": hidden,
        "dropout": dropout,
        "members": members,
        "linear": linear,
        "pretrained": facts.horizon <= MOST_BUNDLED,
    }
    because = f"{series} with {facts.windows:,} horizons of {facts.horizon} steps"
    return Plan(values, because, epochs if epochs < MOST_EPOCHS else None)


def _epochs(facts: SeriesFacts, hidden: int, members: int, seconds: float, speed: float) -> float:
    """How many passes over all windows fit."""
    operations = facts.steps * 8 * hidden * (hidden + 16) + facts.horizon * DECODER
    window = members * (operations * SECONDS_PER_OPERATION + SECONDS_PER_STEP / min(BATCH, max(facts.windows, 1)))
    return seconds * speed / (window * max(facts.windows, 1))


def most_epochs(steps_per_epoch: int) -> int:
    """How often a training sees all windows, however much time there is: with more it has a few series by heart.

    Of half hours of taxis over six months a network had the least error on the validation part after some 50 passes,
    whether the schedule was for 60 or 480; with one for 2,500 the error was 6 per cent larger before it was validated
    once.
    """
    return max(MOST_EPOCHS, -(-FEWEST_STEPS // steps_per_epoch))

"""What a detector chooses by its training part."""

from dataclasses import dataclass

from memfold.tasks.planning import Plan

__all__ = ["Facts", "plan"]

BLOCKS_OF_WARM_UP = 104  # thirteen windows of the coarse shape, to look for a like one in
BLOCKS_OF_DAY = 8  # a day has at least as many: a window of eight is then no longer than a day
FEW_POINTS = 600  # of all series, below which the bundled forecaster is tried in the network's place
MOST_BLOCK = 50  # points, where there is no day


@dataclass(frozen=True)
class Facts:
    """What is seen of a training part.

    Attributes:
        points: of the series of median length.
        day: points a day, 0 where that is no cycle.
        total: points of all series together.
    """

    points: int
    day: int
    total: int


def plan(facts: Facts) -> Plan:
    """The block of the coarse shape, and whether to try the bundled forecaster.

    On every second series of NAB a 104th of the warm-up had 67.2 and twice as much 66.2, by the standard score (three
    seeds); blocks of a day's eighth at most still show a peak that does not come.
    """
    most = max(facts.day // BLOCKS_OF_DAY, 1) if facts.day else MOST_BLOCK
    block = min(max(round(facts.points / BLOCKS_OF_WARM_UP), 1), most)
    day = f", {facts.day:,} a day" if facts.day else ""
    few = facts.total < FEW_POINTS
    return Plan({"block": block, "pretrained": few}, f"{facts.points:,} points to train on{day}")

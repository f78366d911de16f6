"""The puzzles as experiments: how long, how trained, and what papers say of them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from memfold.lab.puzzles import Adding, Copy, Puzzle, Reber, TemporalOrder, Timing
from memfold.lab.trial import Outcome, Recipe

__all__ = ["PUZZLES", "Claim", "Experiment", "findings"]

HS97 = "Hochreiter & Schmidhuber 1997"
BAI = "Bai, Kolter & Koltun 2018 (arXiv 1803.01271)"


@dataclass(frozen=True)
class Claim:
    """What a paper says of a cell.

    Attributes:
        solves: whether it solves the puzzle ...
        shortest, longest: ... at lags from here to there.
    """

    paper: str
    cell: str
    solves: bool
    shortest: float = 0
    longest: float = math.inf

    def __str__(self) -> str:
        span = f"at {self.shortest:g}" if self.shortest == self.longest else f"from {self.shortest:g} on"
        if math.isfinite(self.longest) and self.shortest != self.longest:
            span = f"from {self.shortest:g} to {self.longest:g}"
        return f"{self.paper}: {self.cell} {'solves' if self.solves else 'does not solve'} it {span}"


@dataclass(frozen=True)
class Experiment:
    """A puzzle and how it is put to the cells.

    Attributes:
        what: the question, and when it counts as solved.
        lags: that are tried unless others are asked for.
    """

    puzzle: Callable[[int], Puzzle]
    what: str
    lags: tuple[int, ...]
    recipe: Recipe
    claims: Sequence[Claim] = field(default_factory=tuple)


PUZZLES = {
    "adding": Experiment(
        Adding,
        "Two of the numbers are marked: what is their sum? Right within 0.04; the constant 1 has an error of 1/6.",
        (100, 200, 400, 800),
        Recipe(),
        (
            Claim(HS97, "lstm", True, 100, 1000),
            Claim(BAI, "lstm", False, 600, 600),
            Claim(BAI, "gru", True, 600, 600),
            Claim(BAI, "rnn", False, 600, 600),
        ),
    ),
    "copy": Experiment(
        Copy,
        "Ten symbols, then silence: what were they? Right where all ten are.",
        (20, 50, 100),
        Recipe(hidden_size=128),
        (
            Claim(BAI, "lstm", False, 1000, 1000),
            Claim(BAI, "gru", False, 1000, 1000),
            Claim(BAI, "rnn", False, 1000, 1000),
        ),
    ),
    "order": Experiment(
        TemporalOrder,
        "An X or a Y comes early and another one late, among symbols that mean nothing: in which order?",
        (100, 200, 400),
        Recipe(),
        (Claim(HS97, "lstm", True, 100, 100),),
    ),
    "timing": Experiment(
        Timing,
        "Spikes come every LAG steps or every LAG - 1: which is it?",
        (10, 20, 50),
        Recipe(),
        (
            Claim("Gers & Schmidhuber 2000", "peephole", True, 50, 50),
            Claim("Gers & Schmidhuber 2000", "lstm", False, 50, 50),
        ),
    ),
    "reber": Experiment(
        Reber,
        "What may come next in the embedded Reber grammar? Right where that is predicted at every step of a string.",
        (8, 16, 32),
        Recipe(),
        (Claim(HS97, "lstm", True, 8, 8),),
    ),
}


def findings(claims: Sequence[Claim], outcomes: Sequence[Outcome]) -> list[str]:
    """Each claim, and whether the outcomes agree with it."""
    lines = []
    for claim in claims:
        tried = [o for o in outcomes if o.cell == claim.cell and claim.shortest <= o.lag <= claim.longest]
        against = [o for o in tried if o.solved != claim.solves]
        if not tried:
            verdict = "not tried here"
        elif not against:
            verdict = f"so it is here (at {_lags(tried)})"
        else:
            verdict = f"NOT FOUND here: {len(against)} of {len(tried)} runs went the other way (at {_lags(against)})"
        lines.append(f"{claim}; {verdict}")
    return lines


def _lags(outcomes: Sequence[Outcome]) -> str:
    return ", ".join(str(lag) for lag in dict.fromkeys(outcome.lag for outcome in outcomes))

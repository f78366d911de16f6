"""The puzzles as experiments: how long, how trained, and what papers say of them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from memfold.lab.puzzles import Adding, Copy, Puzzle, Reber, TemporalOrder, Timing
from memfold.lab.trial import Outcome, Recipe
from memfold.words import Said, said

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

    def sentence(self) -> Said:
        """The claim in words."""
        span = said("claim from", shortest=self.shortest)
        if self.shortest == self.longest:
            span = said("claim at", lag=self.shortest)
        elif math.isfinite(self.longest):
            span = said("claim between", shortest=self.shortest, longest=self.longest)
        does = said("claim solves" if self.solves else "claim fails")
        return said("claim", paper=self.paper, cell=self.cell, does=does, span=span)


@dataclass(frozen=True)
class Experiment:
    """A puzzle and how it is put to the cells.

    Attributes:
        what: the question, and when it counts as solved.
        lags: that are tried unless others are asked for.
    """

    puzzle: Callable[[int], Puzzle]
    what: Said
    lags: tuple[int, ...]
    recipe: Recipe
    claims: Sequence[Claim] = field(default_factory=tuple)


PUZZLES = {
    "adding": Experiment(
        Adding,
        said("what adding"),
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
        said("what copy"),
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
        said("what order"),
        (100, 200, 400),
        Recipe(),
        (Claim(HS97, "lstm", True, 100, 100),),
    ),
    "timing": Experiment(
        Timing,
        said("what timing"),
        (10, 20, 50),
        Recipe(),
        (
            Claim("Gers & Schmidhuber 2000", "peephole", True, 50, 50),
            Claim("Gers & Schmidhuber 2000", "lstm", False, 50, 50),
        ),
    ),
    "reber": Experiment(
        Reber,
        said("what reber"),
        (8, 16, 32),
        Recipe(),
        (Claim(HS97, "lstm", True, 8, 8),),
    ),
}


def findings(claims: Sequence[Claim], outcomes: Sequence[Outcome]) -> list[Said]:
    """Each claim, and whether the outcomes agree with it."""
    lines = []
    for claim in claims:
        tried = [o for o in outcomes if o.cell == claim.cell and claim.shortest <= o.lag <= claim.longest]
        against = [o for o in tried if o.solved != claim.solves]
        if not tried:
            verdict = said("verdict untried")
        elif not against:
            verdict = said("verdict so", lags=_lags(tried))
        else:
            verdict = said("verdict against", against=len(against), tried=len(tried), lags=_lags(against))
        lines.append(said("finding", claim=claim.sentence(), verdict=verdict))
    return lines


def _lags(outcomes: Sequence[Outcome]) -> str:
    return ", ".join(str(lag) for lag in dict.fromkeys(outcome.lag for outcome in outcomes))

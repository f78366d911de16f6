"""How large a language model is to be, and how it reads, from the text's length, its characters and the budget."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memfold.tasks.planning import Plan

__all__ = ["TextFacts", "plan"]

SECONDS_PER_WEIGHT = 4e-11  # and token, forwards and backwards, at speed 1: 70 ms for 2,048 tokens and 925,000 weights
SECONDS_PER_UPDATE = 2.5e-9  # and weight, of the optimiser and the average
WIDE = 500  # tokens; a head of more is the larger part of a small network
HEAD = 900  # tokens of a wide vocabulary that a step has logits of: those it predicts, and those that are drawn
HIDDEN = (1024, 832, 640, 512, 384, 256, 192, 128)
BATCHES = (32, 16)
STEPS = 1500  # at least: 437 steps of 2,048 tokens leave Shakespeare at 1.58 nats, where 2,500 come to 1.45


@dataclass(frozen=True)
class TextFacts:
    """What a text is like.

    Attributes:
        characters: of the training part.
        tokens: of it.
        vocabulary: different ones.
    """

    characters: int
    tokens: int
    vocabulary: int

    def __str__(self) -> str:
        return f"{self.characters:,} characters, {self.vocabulary:,} different ones"


def plan(facts: TextFacts, seconds: float, speed: float, given: Mapping[str, Any]) -> Plan:
    """What to leave to the data and the machine.

    Args:
        seconds: of the training.
        given: what somebody has set, which the rest follows.
    """
    wide = facts.vocabulary > WIDE
    # One narrow matrix for embedding and head where both are wide, as the 4,959 characters of the Tang poems make them:
    # in 180 s of a busy core 5.25 nats with these, 5.71 with 256 features and 512 units, both without the n-grams.
    chosen: dict[str, Any] = {
        "tied": wide,
        "embedding_size": 128 if wide else 64,
        "window": 32 if wide else 64,
        **given,
    }
    # As large as the budget can train: weights grow with the root of the work (Hoffmann et al. 2022), from the 925,000
    # that Shakespeare has in 3 minutes. And no larger than the text can fill: 266,000 for its first tenth.
    affordable = 950_000 * (seconds * speed / 180) ** 0.5
    filled = min(3 * facts.tokens + 60_000, facts.tokens + 600_000)
    fitting = (size for size in HIDDEN if _work(facts, {**chosen, "hidden_size": size}) <= min(affordable, filled))
    chosen.setdefault("hidden_size", next(fitting, HIDDEN[-1]))
    # Smaller steps where few large ones fit.
    weights = _weights(facts, chosen)

    def steps(batch_size: int) -> float:
        tokens = batch_size * chosen["window"]
        step = tokens * _work(facts, chosen) * SECONDS_PER_WEIGHT + weights * SECONDS_PER_UPDATE
        return float(seconds * speed / step)

    fitting = (size for size in BATCHES if steps(size) >= STEPS and size * chosen["window"] * 8 <= facts.tokens)
    chosen.setdefault("batch_size", next(fitting, BATCHES[-1]))
    # The more often it reads the text, the more must be done against learning it by heart: 0.1 for 5 epochs of
    # Shakespeare, 0.3 for 20 minutes; with 0.3 its first tenth still gained after 29 epochs, with 0.5 a hundredth was
    # worse after 80. The steps between are guessed.
    epochs = steps(chosen["batch_size"]) * chosen["batch_size"] * chosen["window"] / facts.tokens
    rates = ((1, 0.0), (8, 0.1), (16, 0.2), (40, 0.3), (100, 0.4))
    chosen.setdefault("dropout", next((rate for most, rate in rates if epochs < most), 0.5))
    return Plan(chosen, str(facts), epochs)


def _work(facts: TextFacts, chosen: Mapping[str, Any]) -> int:
    """Weights that a token is multiplied with, of a layer with coupled gates and the head."""
    hidden, embedding = chosen["hidden_size"], chosen["embedding_size"]
    logits = min(facts.vocabulary, HEAD) if facts.vocabulary > 2 * HEAD else facts.vocabulary
    head = embedding * (hidden + logits) if chosen["tied"] else hidden * logits
    return int(3 * hidden * (embedding + hidden) + head)


def _weights(facts: TextFacts, chosen: Mapping[str, Any]) -> int:
    hidden, embedding = chosen["hidden_size"], chosen["embedding_size"]
    return int(3 * hidden * (embedding + hidden) + facts.vocabulary * (embedding + (0 if chosen["tied"] else hidden)))

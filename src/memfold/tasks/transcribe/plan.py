"""How large a recogniser of speech is, and how it is trained, by how much speech there is and how much time."""

import math
from dataclasses import dataclass
from typing import Any

from memfold.tasks.planning import Plan

__all__ = ["Speech", "plan"]

# Minutes of speech from which on a size serves, units a layer, layers. With 5 minutes (140 sentences) 128 units in two
# layers, 0.9 million weights, had every word of 20 held-out sentences right after 40 s on one core; with 1.5 minutes
# (30 recordings of digits) 96 units were worse than 128 and 256: word errors of the network alone 0.57, 0.41 and 0.37.
SIZES = ((0, 128, 2), (5, 192, 2), (60, 256, 2), (120, 256, 3), (600, 320, 3))
MINUTE = 6000  # frames
# 30 ms a step. Of four hours in fifteen minutes (Mboshi), the wrong characters of those validated on were 21.9 % in 27
# passes; with 40 ms a step 25.7 % in 32.
STACKED = 3
FEWEST_STEPS = 3  # frames for a character, on average, that a step must leave room for
EPOCHS = 8  # below which a larger network is still worse than a smaller one with more of them
UPDATES = 1500  # likewise: CTC writes nothing before some hundreds
STEPS_AN_EPOCH = 20
LEAST_BATCH, BATCH = 1000, 3000  # frames
# The augmentation has its full strength after so much of the budget, and so many passes: a few passes learn what is
# said, and no more. Of four hours in three minutes, 11 passes, characters validated on were wrong to 34 % without any,
# to 55 % with all of it from a third on.
GROWN, GROWING_PASSES = 0.3, 30
# Passes from which on every batch may be augmented; with fewer, as large a share, but at least this one. Of four hours
# in fifteen minutes, 30 passes, with a share of up to 1, 0.35 and 0.2 the wrong characters of those validated on were
# 27.3, 25.7 and 25.2 %, and of the same recordings in other surroundings 35.7, 34.3 and 35.6 % (60 % without any).
AUGMENTED_PASSES, LEAST_AUGMENTED = 100, 0.35
FIXED, PRODUCT = 3.0e-6, 4.0e-11  # seconds for a frame at speed 1, and for a frame's multiplication


@dataclass(frozen=True)
class Speech:
    """What is seen in the recordings.

    Attributes:
        frames: of all, 100 a second.
        characters: of all texts.
        recordings: how many.
        rate: samples a second.
        bins: mel bands.
        causal: whether the layers only look back.
    """

    frames: int
    characters: int
    recordings: int
    rate: int
    bins: int
    causal: bool

    def __str__(self) -> str:
        minutes = self.frames / MINUTE
        lasting = f"{minutes / 60:.1f} hours" if minutes >= 90 else f"{minutes:.1f} minutes"
        return f"{self.recordings:,} recordings of {lasting} at {self.rate:,} samples a second"


def plan(speech: Speech, seconds: float, speed: float, given: dict[str, Any]) -> Plan:
    """The largest network that is trained for long enough.

    Args:
        seconds: of training.
        speed: of the machine.
        given: parameters that are set, by name.
    """
    stacked = given.get("stacked") or _stacked(speech)

    def epochs(units: int, layers: int) -> float:
        cost = FIXED + PRODUCT * products(speech, stacked, units, layers)
        return seconds * speed / (cost * speech.frames)

    needed = max(EPOCHS, UPDATES * LEAST_BATCH / speech.frames)
    sizes = [
        (given.get("hidden_size") or units, given.get("num_layers") or layers)
        for least, units, layers in SIZES
        if speech.frames >= least * MINUTE
    ]
    units, layers = next((size for size in reversed(sizes) if epochs(*size) >= needed), sizes[0])
    passes = epochs(units, layers)
    batch = given.get("batch_frames") or _batch(speech.frames, passes)
    updates = passes * speech.frames / batch
    values = {
        "rate": speech.rate,
        "stacked": stacked,
        "hidden_size": units,
        "num_layers": layers,
        "dropout": 0.1 if passes < 30 else 0.2,
        "batch_frames": batch,
        "growing": round(updates * max(GROWN, GROWING_PASSES / passes)),
        "augmented": round(min(1.0, max(LEAST_AUGMENTED, passes / AUGMENTED_PASSES)), 2),
    }
    return Plan(values, str(speech), passes)


def _stacked(speech: Speech) -> int:
    """As many frames a step as leave a step for every character of quick speech."""
    return min(STACKED, max(1, int(speech.frames / max(speech.characters, 1) / FEWEST_STEPS * 2)))


def products(speech: Speech, stacked: int, units: int, layers: int) -> float:
    """Multiplications for a frame."""
    directions = 1 if speech.causal else 2
    first = 4 * units * (stacked * speech.bins + units)
    others = (layers - 1) * 4 * units * (directions * units + units)
    return directions * (first + others) / stacked


def _batch(frames: int, passes: float) -> int:
    """Frames of a step, so that there are some thousands of steps, and some in every pass; by powers of two's root."""
    wanted = min(frames * passes / (2 * UPDATES), frames / STEPS_AN_EPOCH)
    within = min(max(wanted, LEAST_BATCH), BATCH)
    return round(LEAST_BATCH * 2 ** (round(2 * math.log2(within / LEAST_BATCH)) / 2))

"""What is said of the recordings that a recogniser of commands is fitted to."""

import numpy as np
from numpy.typing import NDArray

from memfold.data.commands import Recordings
from memfold.data.features import SHIFT
from memfold.display import say
from memfold.errors import InputError
from memfold.tasks.speech.speakers import named
from memfold.tasks.speech.voice import speech_share

__all__ = ["HOUR", "refuse_lost", "say_background", "say_speakers"]

HOUR = 3600 / SHIFT  # in frames
SPOKEN = 0.1  # of the seconds of background, below which it is said that nobody speaks there


def say_background(trained: NDArray[np.float16], held: NDArray[np.float16]) -> None:
    """Say what the background does not show: what is said by strangers, or one false alarm an hour."""
    if speech_share(np.concatenate([trained, held])) < SPOKEN:
        say(
            "warning: in the background nobody speaks: talk will be taken for commands; "
            "give recordings of talk as well, as --set background=FOLDER"
        )
    if len(held) < HOUR:
        minutes = len(held) / HOUR * 60
        say(
            f"the threshold is set on {minutes:.1f} minutes of background that were held out: it shows false alarms "
            f"down to {60 / max(minutes, 1 / 60):,.0f} an hour"
        )


def refuse_lost(recordings: Recordings, usable: Recordings) -> None:
    """Refuse commands of which no recording is left, all of them."""
    if lost := sorted(set(recordings.labels) - set(usable.labels)):
        which = f"command {lost[0]!r}" if len(lost) == 1 else f"commands {', '.join(map(repr, lost))}"
        raise InputError(f"{recordings.name}: no recording of the {which} can be read")


def say_speakers(rest: Recordings, held: Recordings) -> None:
    """Say whose recordings are held out, where it is known."""
    trained, scored = (sorted(set(part.speakers) - {""}) for part in (rest, held))
    if scored and not set(trained) & set(scored) and "" not in held.speakers:
        total = len(held.paths) + len(rest.paths)
        say(f"{named(scored)} held out to be scored, with {len(held.paths)} of {total} recordings")
    elif shared := sorted(set(trained) & set(scored)):
        say(
            f"{named(shared)} trained on and also scored: the accuracy does not hold for strangers; "
            "--set holdout=NAME holds one out"
        )

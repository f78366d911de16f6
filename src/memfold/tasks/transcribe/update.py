"""What an update must know of a recogniser of speech."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from memfold.data.row_keys import file_keys
from memfold.data.speech import Utterances
from memfold.data.speech import joined as of_all
from memfold.tasks.transcribe.hearing import Heard

if TYPE_CHECKING:
    from memfold.tasks.transcribe.task import SpeechRecognizer

__all__ = ["SCALING", "answers", "joined", "keys", "take"]

SCALING = ("front.mean", "front.scale")


def keys(examples: Utterances) -> list[str]:
    """What tells the recordings apart: the file's content, of samples the samples'."""
    return file_keys(examples.audio, lambda place: str(examples.audio[place]))


def take(examples: Utterances, rows: Sequence[int]) -> Utterances:
    """Some of the recordings."""
    return examples.take(rows)


def joined(parts: Sequence[Heard]) -> Heard:
    """All recordings of several."""
    whole = of_all([Utterances(p.name, p.audio, p.texts, p.speakers, p.given) for p in parts])
    frames = [rows for part in parts for rows in part.frames]
    known = (whole.name, whole.audio, whole.texts, whole.speakers, whole.given)
    return Heard(*known, frames, sum(part.seconds for part in parts), parts[0].rate)


def answers(task: "SpeechRecognizer", before: "SpeechRecognizer", examples: Heard) -> Any:
    """What the earlier model writes; without its speed, which is not compared."""
    return replace(before.answer(examples), real_time_factor=None)

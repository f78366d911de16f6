"""Words and phrases of a recording with their times, as a table or as subtitles."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import polars as pl

from memfold.data.features import SHIFT
from memfold.errors import InputError
from memfold.runtime.hearing.alignment import words_in_time
from memfold.runtime.texts.tokens import unspaced
from memfold.tasks.speech.recordings import with_given

if TYPE_CHECKING:
    from memfold.tasks.transcribe.hearing import Heard, Written
    from memfold.tasks.transcribe.task import SpeechRecognizer

__all__ = ["Phrase", "Times", "phrases_in_time", "subtitles", "table_in_time", "times_of"]

Times = Literal["none", "words", "phrases", "srt", "vtt"]
LONGEST, MOST_LETTERS = 6.0, 80  # seconds and letters of a phrase, as two lines of subtitles hold
MOST_WIDE = 32  # of a script without spaces
GAP = 0.7  # seconds without a word between two phrases
LEAST = 0.2  # seconds that a subtitle is shown
ENDS = (".", "!", "?", "。", "！", "？", "…")


@dataclass(frozen=True)
class Phrase:
    """Some words, or one.

    Attributes:
        text: of them.
        begin, end: in seconds from the beginning of the recording.
    """

    text: str
    begin: float
    end: float


def times_of(model: "SpeechRecognizer", heard: "Heard", written: "Written", row: int) -> list[Phrase]:
    """The words of a recording at their times, by forced alignment of what is written."""
    step, end = model.step_seconds, SHIFT * len(heard.frames[row])
    words = words_in_time(written.texts[row], model.alphabet_, written.log_p[row])
    return [Phrase(word.text, round(step * word.begin, 2), round(min(step * word.end, end), 2)) for word in words]


def phrases_in_time(words: Sequence[Phrase]) -> list[Phrase]:
    """Words as phrases: one ends at a gap, after the end of a sentence, and before it is too long.

    >>> words = [Phrase("good", 0.1, 0.3), Phrase("morning", 0.4, 0.9), Phrase("two", 2.0, 2.3)]
    >>> [(phrase.text, phrase.begin, phrase.end) for phrase in phrases_in_time(words)]
    [('good morning', 0.1, 0.9), ('two', 2.0, 2.3)]
    """
    phrases: list[Phrase] = []
    for word in words:
        last = phrases[-1] if phrases else None
        if last is None or word.begin - last.end > GAP or last.text.endswith(ENDS):
            phrases.append(word)
            continue
        together = unspaced(last.text[-1]) and unspaced(word.text[0])
        text = f"{last.text}{'' if together else ' '}{word.text}"
        most = MOST_WIDE if together else MOST_LETTERS
        if len(text) > most or word.end - last.begin > LONGEST:
            phrases.append(word)
        else:
            phrases[-1] = Phrase(text, last.begin, word.end)
    return phrases


def table_in_time(model: "SpeechRecognizer", heard: "Heard", written: "Written", whole: bool) -> pl.DataFrame:
    """A row a word: columns ``audio``, those of a manifest, ``start`` and ``end`` in seconds, and ``text``.

    Args:
        whole: a row a phrase.
    """
    rows, phrases = [], []
    for row in range(len(heard)):
        words = times_of(model, heard, written, row)
        its = phrases_in_time(words) if whole else words
        rows += [row] * len(its)
        phrases += its
    given = heard.given[rows] if heard.given.width else heard.given
    columns = {
        "start": pl.Series([phrase.begin for phrase in phrases], dtype=pl.Float64),
        "end": pl.Series([phrase.end for phrase in phrases], dtype=pl.Float64),
        "text": pl.Series([phrase.text for phrase in phrases], dtype=pl.String),
    }
    return with_given(given, "audio", [heard.audio[row] for row in rows], columns)


def subtitles(model: "SpeechRecognizer", heard: "Heard", written: "Written", kind: Times) -> Iterator[str]:
    """The phrases of one recording as subtitles, SubRip's or WebVTT's.

    Raises:
        InputError: there are several recordings.
    """
    if len(heard) != 1:
        raise InputError(
            f"{len(heard)} recordings, but subtitles are of one; give --out FOLDER/ --set times={kind} for a file each"
        )
    phrases = phrases_in_time(times_of(model, heard, written, 0))
    starts = [phrase.begin for phrase in phrases[1:]]
    shown = [
        Phrase(phrase.text, phrase.begin, max(phrase.end, min(phrase.begin + LEAST, start)))
        for phrase, start in zip(phrases, [*starts, float("inf")], strict=False)
    ]
    return _written(shown, kind)


def _written(phrases: Sequence[Phrase], kind: Times) -> Iterator[str]:
    mark = "," if kind == "srt" else "."
    if kind == "vtt":
        yield "WEBVTT\n\n"
    for number, phrase in enumerate(phrases, start=1):
        text = phrase.text if kind == "srt" else phrase.text.replace("&", "&amp;").replace("<", "&lt;")
        yield f"{number}\n{_clock(phrase.begin, mark)} --> {_clock(phrase.end, mark)}\n{text.replace('-->', '->')}\n\n"


def _clock(seconds: float, mark: str) -> str:
    """Hours, minutes, seconds and thousandths.

    >>> _clock(3725.5, ",")
    '01:02:05,500'
    """
    whole, thousandths = divmod(round(1000 * seconds), 1000)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02}:{minute:02}:{second:02}{mark}{thousandths:03}"

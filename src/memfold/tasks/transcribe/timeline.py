"""The words of recordings at their times, drawn."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import jiwer
import numpy as np

from memfold.drawing import SERIES, Chart, Choice
from memfold.page import Section
from memfold.runtime.hearing.alignment import Word, words_in_time
from memfold.tasks.speech.recordings import short_name
from memfold.words import Words

if TYPE_CHECKING:
    from memfold.tasks.transcribe.hearing import Heard, Written
    from memfold.tasks.transcribe.task import SpeechRecognizer

__all__ = ["MOST_WORDS", "timeline", "worst_timelines"]

MOST_WORDS = 40
SHOWN_RECORDINGS = 5
ROW = 24  # pixels of a word
LONGEST_NAME = 60  # characters of what was said


def timeline(spoken: Sequence[Word], seconds: float, end: float, words: Words, right: Collection[int] = ()) -> Chart:
    """A row a word, from when it begins until it ends.

    Args:
        seconds: of a step.
        end: of the recording, in seconds.
        right: the places of characters that were said so; none where that is not known.
    """
    shown = spoken[:MOST_WORDS]
    chart = Chart("", words("seconds"), rows=[word.text for word in shown], height=max(120, ROW * len(shown)))
    begin = seconds * np.array([word.begin for word in shown])
    lasts = seconds * np.array([word.end - word.begin for word in shown])
    whole = end if len(shown) == len(spoken) else float((begin + lasts).max())
    chart.line([0.0, whole], [np.nan, np.nan], "")  # from the beginning of the recording to its end
    rows = np.eye(len(shown))
    if not right:
        return chart.cells(begin, rows, "", lasts)
    as_said = np.array([set(word.places) <= set(right) for word in shown])
    chart.cells(begin, rows * as_said, words("as said"), lasts)
    return chart.cells(begin, rows * ~as_said, words("otherwise"), lasts, SERIES[1])


def worst_timelines(model: "SpeechRecognizer", examples: "Heard", answers: "Written", words: Words) -> list[Section]:
    """The words of the recordings with the highest character error rates, each beside what was said."""
    rates = [jiwer.cer(text, written) for text, written in zip(examples.texts, answers.texts, strict=True)]
    charts: dict[str, Chart] = {}
    for row in np.argsort([-rate for rate in rates], kind="stable").tolist():
        text, log_p = answers.texts[row], answers.log_p[row]
        spoken = words_in_time(text, model.alphabet_, log_p)
        if not spoken:
            continue
        right = _same(examples.texts[row], text)
        name = f"{short_name(examples.audio[row], row + 1)}: {examples.texts[row][:LONGEST_NAME]}"
        end = model.step_seconds * len(log_p)
        charts[name] = timeline(spoken, model.step_seconds, end, words, right or {-1})
        if len(charts) == SHOWN_RECORDINGS:
            break
    if not charts:
        return []
    text = words("words in time text", step=1000 * model.step_seconds)
    return [
        (words("words in time"), words.joined(text, words("words shown")), Choice(charts, words("choose recording")))
    ]


def _same(said: str, written: str) -> set[int]:
    """The places of the characters of what is written that were said so."""
    (chunks,) = jiwer.process_characters(said, written).alignments
    return {place for its in chunks if its.type == "equal" for place in range(its.hyp_start_idx, its.hyp_end_idx)}

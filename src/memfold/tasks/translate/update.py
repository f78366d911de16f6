"""What an update must know of a translator."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from memfold.data.parallel import ParallelText
from memfold.data.seen import same_text
from memfold.tasks.translate.memory import TranslationMemory

if TYPE_CHECKING:
    from memfold.tasks.translate.task import Translator

__all__ = ["answers", "joined", "keys", "take", "with_earlier"]


def keys(examples: ParallelText) -> list[str]:
    """What tells the pairs apart: the sentence, so that all of its translations are in one part."""
    return [same_text(sentence) for sentence in examples.source]


def take(examples: ParallelText, rows: Sequence[int]) -> ParallelText:
    """Some of the pairs."""
    return ParallelText([examples.source[row] for row in rows], [examples.target[row] for row in rows])


def joined(parts: Sequence[ParallelText]) -> ParallelText:
    """All pairs of several."""
    source = [sentence for part in parts for sentence in part.source]
    target = [sentence for part in parts for sentence in part.target]
    return ParallelText(source, target, sum(part.skipped for part in parts))


def answers(task: "Translator", before: "Translator", examples: ParallelText) -> Any:
    """The earlier model's translations."""
    return before.answer(examples)


def with_earlier(task: "Translator", pairs: ParallelText) -> ParallelText:
    """The pairs of an update that has new ones alone, after those in the earlier model's memory."""
    if task.begun is None or task.begun.rehearses:
        return pairs
    before: Any = task.begun.model
    memory: TranslationMemory | None = before.memory_
    return pairs if memory is None else joined([ParallelText(memory.source, memory.target), pairs])

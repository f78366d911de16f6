"""What an update must know of a generator of text."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from memfold.runtime.ngram import NGram, PackedGrams
from memfold.runtime.writing.vocabulary import Tokens
from memfold.tasks.fit_data import FitData
from memfold.tasks.report import Parts
from memfold.tasks.updating.course import Arranged, said_of_old

if TYPE_CHECKING:
    from memfold.tasks.generate.task import TextGenerator

__all__ = ["answers", "arranged", "better", "keys", "marks", "places", "test_marks"]

LEAST = 200  # characters of new text of which a part is held out


def keys(examples: str) -> list[str]:
    """A text has no rows."""
    return []


def marks(task: "TextGenerator", data: FitData) -> dict[str, str]:
    """By which a text that goes on from this one is known: its length and hash. An update keeps the earlier one's."""
    return {"text": _mark(data.whole)} if task.begun is None else {}


def test_marks(task: "TextGenerator", test: str) -> dict[str, str]:
    """The same of what was held out to be scored."""
    return {"test": _mark(test)} if task.begun is None else {}


def _mark(text: str) -> str:
    return f"{len(text)} {hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def arranged(task: "TextGenerator", given: Parts, earlier: Sequence[Parts], missing: str, progress: bool) -> Arranged:
    """The old text and the new: a text that begins with the old one is parted there, else all of it is new."""
    assert task.begun is not None
    kept = vars(task.begun.model).get("kept_")
    known: Mapping[str, str] = {} if kept is None else kept.marks
    scored = given.test is not None
    whole = given.train + (given.test or "")
    old_train, old_test, rest = _begins(whole, known)
    notes = []
    if old_train is None:
        old_train = "\n".join(parts.train for parts in earlier) or None
        old_test = "\n".join(parts.test for parts in earlier) or None
        new_train, new_test = given.train, given.test
    else:
        missing = ""
        new_train, new_test = task.hold_out(rest) if scored and len(rest) >= LEAST else (rest, None)
        if not rest.strip():
            notes.append("update: the text is the one that the model was fitted to; nothing is new")
    pairs = [task.split(text) for text in (old_train, new_train) if text]
    train, valid = ("\n".join(part for part in parts if part) for parts in zip(*pairs, strict=True))
    vars(task)["begun"] = replace(task.begun, rehearses=old_train is not None)
    again = f"{len(old_train or ''):,} characters of the old text"
    notes.append(said_of_old(f"{len(new_train):,} new characters", again if old_train else "", missing))
    data = FitData("\n".join(text for text in (old_train, new_train) if text), train, valid, progress)
    old, new = (None if not text else Parts(None, text) for text in (old_test, new_test))
    return Arranged(task, data, old, new, notes, missing)


def _begins(text: str, known: Mapping[str, str]) -> tuple[str | None, str | None, str]:
    """The old text at the beginning of one, without and then with its end that was held out, and the rest; None where
    it does not begin so."""
    if "text" not in known:
        return None, None, text
    at = int(known["text"].split()[0])
    if _mark(text[:at]) != known["text"]:
        return None, None, text
    end = at + int(known.get("test", "0").split()[0])
    if "test" in known and _mark(text[at:end]) == known["test"]:
        return text[:at], text[at:end], text[end:]
    return text[:at], None, text[at:]


def places(task: "TextGenerator") -> Mapping[str, Sequence[int]]:
    """Where the rows of characters go, which are in the order of their code points; subwords keep their places."""
    assert task.begun is not None
    if task.characters_ is None:
        return {}
    at = {character: place for place, character in enumerate(task.characters_, 1)}
    rows = [0, *(at[character] for character in task.begun.model.characters_)]
    return dict.fromkeys(("embedding.weight", "bias", "output"), rows)


def answers(task: "TextGenerator", before: "TextGenerator", examples: str) -> Any:
    """How surprising a text is to the earlier model, for which new characters are unknown ones."""
    return before.answer(examples)


def better(task: "TextGenerator", fresh: NGram, kept: NGram, valid: Tokens) -> tuple[NGram, NGram]:
    """The n-gram model to choose the share with, and the one to keep: those of the new text, or twice the earlier one
    where that predicts the validation part better."""
    assert task.begun is not None
    old = task.begun.model.mixture_.ngram
    rows = np.array(places(task).get("bias", range(task.vocabulary_.size)))
    packed = [PackedGrams(rows[part.tokens.astype(np.int64)], part.weights, part.children) for part in old.packed()]
    carried = NGram.unpacked(packed, task.vocabulary_.size)
    is_better = carried.nats(valid[None]).mean() < fresh.nats(valid[None]).mean()
    return (carried, carried) if is_better else (fresh, kept)

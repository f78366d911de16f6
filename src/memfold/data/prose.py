"""The known sets of texts, and the parts of a text that are held out."""

import json
from pathlib import Path

import numpy as np

from memfold.data.datasets import REGISTRY, dataset, find
from memfold.data.texts import read_text
from memfold.errors import InputError

__all__ = ["load_prose", "without_blocks", "without_end"]

BLOCKS = 10  # to validate on
MOST_VALID = 20_000  # characters of them


def without_end(text: str) -> tuple[str, str]:
    """A text without its last tenth, and that tenth."""
    at = len(text) * 9 // 10
    return text[:at], text[at:]


def without_blocks(text: str) -> tuple[str, str]:
    """A text without ten blocks that are evenly spread over it, and these.

    They are a twentieth of it, of a long text less. What comes after a text is most like its end, which therefore is
    trained on and not held out.
    """
    size = min(len(text) // 20, MOST_VALID) // BLOCKS
    cuts = [len(text) * (2 * k + 1) // (2 * BLOCKS) for k in range(BLOCKS)]
    kept = [text[begin:end] for begin, end in zip([0, *(cut + size for cut in cuts)], [*cuts, None], strict=True)]
    return "".join(kept), "".join(text[cut : cut + size] for cut in cuts)


def load_prose(name: str) -> tuple[str, str]:
    """The training and the test part of a known set.

    Raises:
        InputError: no such set, or files of it that cannot be had or read.
    """
    dataset(name, "generate")
    folder = find(name)
    if name == "tang-poems":
        return _poems(folder)
    return without_end("\n".join(read_text(folder / file) for file in REGISTRY[name]))


def _poems(folder: Path) -> tuple[str, str]:
    """Poems, each on a line of its own, nine of ten to train on; which ones is drawn with seed 0."""
    poems: list[str] = []
    for file in sorted(folder.glob("poet.tang.*.json"), key=lambda path: int(path.suffixes[1][1:])):
        try:
            read = ["".join(poem["paragraphs"]) for poem in json.loads(read_text(file))]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{file}: not a list of poems ({error!r})") from None
        poems += [poem for poem in read if poem]
    order = np.random.default_rng(0).permutation(len(poems))
    held_out = set(order[: len(poems) // 10].tolist())
    parts = ([p for k, p in enumerate(poems) if (k in held_out) == test] for test in (False, True))
    train, test = ("".join(f"{poem}\n" for poem in part) for part in parts)
    return train, test

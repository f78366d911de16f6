"""What an update must know of labelled images."""

from collections.abc import Sequence

from memfold.data.images import Images, joined
from memfold.data.row_keys import file_keys

__all__ = ["SCALING", "joined", "keys", "take"]

SCALING = ("normaliser.mean", "normaliser.scale")


def keys(examples: Images) -> list[str]:
    """What tells the images apart: the file's content, of an array its pixels."""
    return file_keys(examples.files, lambda place: examples.prints[place].hex())


def take(examples: Images, rows: Sequence[int]) -> Images:
    """Some of the images."""
    return examples.take(rows)

"""A text that a person gives: as a file, or as itself."""

from pathlib import Path

from memfold.data.datasets import names_set
from memfold.data.texts import read_text
from memfold.errors import InputError

__all__ = ["text_of"]


def text_of(source: str) -> str:
    """The text of a file, or the source itself where it is no file's name.

    Raises:
        InputError: there is nothing to read, or what looks like a file is not there.
    """
    if names_set(source):
        raise InputError(f"{source}: give a file or a text; a whole data set is not one input")
    if Path(source).is_file():
        text = read_text(source)
    elif " " not in source and (Path(source).suffix in (".txt", ".csv", ".tsv", ".jsonl", ".md") or "/" in source):
        raise InputError(f"{source}: no such file")
    else:
        text = source
    if not text.strip():
        raise InputError("there is no text to explain")
    return text

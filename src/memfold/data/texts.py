"""Text files, read whole or by the line, in whatever encoding, with the place of whatever is not text."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from memfold.data.delimited import called, decoded, unpacked
from memfold.data.folders import files_at
from memfold.data.unreadable import leave_out
from memfold.display import say
from memfold.errors import InputError

__all__ = ["SUFFIXES", "TEXT_NAMES", "is_text", "read_lines", "read_text", "text_files", "texts_of", "whole"]

SUFFIXES = (".txt", ".text", ".md", ".gz")  # of the files that are read from a folder
TEXT_NAMES = ("text", "sentence", "review", "content", "comment", "message", "body", "文本", "内容", "评论", "句子")


def read_text(path: str | Path, encoding: str | None = None) -> str:
    """The text in a file; of one packed by gzip, of what is in it. Line ends become ``\\n``.

    Args:
        encoding: of the file; None finds it among UTF-8, UTF-16, GB18030 and Latin-1, and says any but the first.

    Raises:
        InputError: there is no such file, it is empty, or a byte is none of the encoding; names file and line.
    """
    content = unpacked(Path(path))
    if not content.strip():
        raise InputError(f"{path}: is empty")
    text, known = decoded(content, str(path), encoding)
    if not text.strip():
        raise InputError(f"{path}: is empty")
    if known not in ("utf-8", encoding):
        say(f"{path}: read as {called(known)}")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_lines(path: str | Path, encoding: str | None = None) -> list[str]:
    """The lines of a file, without their ends; as `read_text` otherwise."""
    return read_text(path, encoding).removesuffix("\n").split("\n")


def text_files(path: Path) -> list[Path]:
    """A file itself; of a folder the text files in it and below, in order.

    Raises:
        InputError: there is nothing, or a folder without any.
    """
    return files_at(path, SUFFIXES, f"texts ({', '.join(SUFFIXES)})") if path.is_dir() else [path]


def is_text(value: str) -> bool:
    r"""Whether every character of a text can be written to a file, as half of a pair of UTF-16 cannot.

    >>> is_text("x\ud800")
    False
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def whole(value: str, where: str) -> str:
    """A text all of whose characters can be written.

    Raises:
        InputError: there is half a character in it.
    """
    if not is_text(value):
        raise InputError(f"{where} holds half a character (a lone surrogate), which no file can hold; take it out")
    return value


def texts_of(data: Any, *, lines: bool = False, encoding: str | None = None) -> list[str]:
    """Texts that are given by themselves, each a ``str``, or by their files, each a ``Path``; one or several.

    A file among several that cannot be read is left out, and named on standard error.

    Args:
        lines: every line of a file is a text of its own.
        encoding: of the files; None finds it.

    Raises:
        InputError: something else is given, or no file can be read.

    >>> texts_of(["to be", "or not"])
    ['to be', 'or not']
    """
    if isinstance(data, str | Path):
        data = [data]
    if not isinstance(data, Iterable) or hasattr(data, "columns"):  # a data frame would give its columns' names
        raise InputError(f"got a {type(data).__name__}; expected texts, each a str, or files, each a Path")
    texts: list[str] = []
    broken: list[str] = []
    files = 0
    for place, item in enumerate(data, 1):
        if isinstance(item, Path):
            for file in text_files(item):
                files += 1
                try:
                    texts += read_lines(file, encoding) if lines else [read_text(file, encoding)]
                except InputError as error:
                    broken.append(str(error))
        elif isinstance(item, str):
            texts.append(whole(str(item), f"item {place}"))
        else:
            raise InputError(f"item {place} is a {type(item).__name__}; expected a text as a str, or a file as a Path")
    if broken and files == 1:
        raise InputError(broken[0])
    leave_out(broken, files, "files")
    return texts

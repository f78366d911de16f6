"""Text files, read whole or by the line, with the place of whatever is not text."""

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from memfold.errors import InputError

__all__ = ["read_lines", "read_text", "texts_of"]


def read_text(path: str | Path, encoding: str = "utf-8") -> str:
    """The text in a file; of a name that ends in ``.gz``, of what is packed in it. Line ends become ``\\n``.

    Raises:
        InputError: there is no such file, it is empty, or a byte is none of the encoding; names file and line.
    """
    path = Path(path)
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    try:
        text = content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}, line {line}: byte 0x{content[error.start]:02x} is not {encoding}; save the file as UTF-8"
        ) from None
    except LookupError:
        raise InputError(f"encoding {encoding!r} is not known; utf-8, latin-1 and gb18030 are") from None
    if not text.strip():
        raise InputError(f"{path}: is empty")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_lines(path: str | Path, encoding: str = "utf-8") -> list[str]:
    """The lines of a file, without their ends; as `read_text` otherwise."""
    return read_text(path, encoding).removesuffix("\n").split("\n")


def texts_of(data: Any, *, lines: bool = False) -> list[str]:
    """Texts that are given by themselves, each a ``str``, or by their files, each a ``Path``; one or several.

    Args:
        lines: every line of a file is a text of its own.

    Raises:
        InputError: something else is given, or a file cannot be read.

    >>> texts_of(["to be", "or not"])
    ['to be', 'or not']
    """
    if isinstance(data, str | Path):
        data = [data]
    if not isinstance(data, Iterable) or hasattr(data, "columns"):  # a data frame would give its columns' names
        raise InputError(f"got a {type(data).__name__}; expected texts, each a str, or files, each a Path")
    texts: list[str] = []
    for place, item in enumerate(data, 1):
        if isinstance(item, Path):
            texts += read_lines(item) if lines else [read_text(item)]
        elif isinstance(item, str):
            texts.append(str(item))
        else:
            raise InputError(f"item {place} is a {type(item).__name__}; expected a text as a str, or a file as a Path")
    return texts

"""Text files, read whole or by the line, with the place of whatever is not text."""

import gzip
from pathlib import Path

from memfold.errors import InputError

__all__ = ["read_lines", "read_text"]


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

"""Lines of text from a running input, as they come."""

from collections.abc import Callable, Iterator
from typing import BinaryIO

from memfold.data.containers import container_of, looks_like_text
from memfold.errors import InputError

__all__ = ["incoming_lines"]

INPUT = "standard input"
EXPECTED = "expected lines of text in UTF-8"
CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r\x1b"))
MOST_CONTROLS = 0.05  # of the bytes of a text
LONGEST = 16 << 20  # bytes of a line


def incoming_lines(source: BinaryIO) -> Iterator[str]:
    """The lines of an input without their ends, each as soon as it is whole.

    Raises:
        InputError: sound, or another file that is no text; a line that is not UTF-8, or has no end.
    """
    take: Callable[[int], bytes] = getattr(source, "read1", source.read)
    held, number = b"", 0
    while data := take(1 << 16):
        if not number and not held:
            _refuse_no_text(data)
            data = data.removeprefix(b"\xef\xbb\xbf")
        *lines, held = (held + data).split(b"\n")
        for line in lines:
            number += 1
            yield _decoded(line.removesuffix(b"\r"), number)
        if len(held) > LONGEST:
            raise InputError(f"{INPUT}, line {number + 1}: longer than {LONGEST >> 20} MB; {EXPECTED}")
    if held:
        yield _decoded(held.removesuffix(b"\r"), number + 1)


def _refuse_no_text(head: bytes) -> None:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) and looks_like_text(head):
        raise InputError(f"{INPUT}: text in UTF-16; {EXPECTED} (iconv -f utf-16 -t utf-8)")
    if looks_like_text(head):
        return
    container = container_of(head)
    if container is not None:
        what = f"sound ({container.name})" if container.sound else container.name
        raise InputError(f"{INPUT}: {what}; {EXPECTED}")
    if 0 in head or len(head) - len(head.translate(None, CONTROLS)) > MOST_CONTROLS * len(head):
        raise InputError(f"{INPUT}: bytes that are no text, such as samples of sound; {EXPECTED}")


def _decoded(line: bytes, number: int) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = line[error.start]
        raise InputError(
            f"{INPUT}, line {number}: byte 0x{byte:02x} is not UTF-8; {EXPECTED} (iconv -f gb18030 -t utf-8)"
        ) from None

"""Lines of text from a running input, and what is none."""

import io
import os
import threading

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from memfold.data.incoming import incoming_lines
from memfold.errors import InputError

letters = st.text(st.characters(exclude_categories=("Cc", "Cs")))


class Trickle(io.BytesIO):
    """An input that gives a few bytes at a time, which cut letters in two."""

    def read1(self, size: int | None = -1) -> bytes:
        return super().read1(5)


@given(st.lists(letters), st.sampled_from(["\n", "\r\n"]))
def test_lines_are_read_as_python_reads_them(lines: list[str], end: str) -> None:
    content = "".join(line + end for line in lines)
    expected = [line.removesuffix("\n") for line in io.StringIO(content.replace("\r\n", "\n"), newline="\n")]
    assert list(incoming_lines(Trickle(content.encode()))) == expected
    assert list(incoming_lines(io.BytesIO(("\ufeff" + content).encode()))) == expected


def test_a_line_is_given_as_soon_as_it_is_whole() -> None:
    read, write = os.pipe()
    with open(read, "rb") as source, open(write, "wb", buffering=0) as sink:
        lines = incoming_lines(source)
        for text in ("awful", "good"):
            threading.Thread(target=sink.write, args=(f"{text}\n".encode(),)).start()
            assert next(lines) == text  # though the input has not ended


def sound(kind: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, 0.1 * np.sin(np.arange(16000) / 9), 16000, format=kind)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (sound("WAV"), r"sound \(WAV\); expected lines of text"),
        (sound("FLAC"), r"sound \(FLAC\)"),
        (b"\0\0\0\x1cftypM4A \0\0\2\0" + bytes(50), r"sound \(MPEG-4"),
        (
            (2000 * np.sin(np.arange(4000) / 9)).astype("<i2").tobytes(),
            "bytes that are no text, such as samples of sound",
        ),
        (b"\x89PNG\r\n\x1a\n\0\0", r"a picture \(PNG\)"),
        ("good\n".encode("utf-16"), r"text in UTF-16; expected lines of text in UTF-8 \(iconv -f utf-16"),
        (b"good\n" + "天气很好".encode("gb18030"), r"line 2: byte 0xcc is not UTF-8"),
    ],
)
def test_what_is_no_text_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=f"standard input.*{message}"):
        list(incoming_lines(io.BytesIO(content)))


@pytest.mark.parametrize("text", ["ID3 tags are lost", "FORM 10-K", "MAC address", "\x1b[31mred\x1b[0m", "a\ttab"])
def test_texts_that_begin_as_files_do_are_texts(text: str) -> None:
    assert list(incoming_lines(io.BytesIO(text.encode()))) == [text]

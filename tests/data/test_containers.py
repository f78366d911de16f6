"""What a file is by its first bytes."""

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from memfold.data.containers import HEAD, container_of, looks_like_text

SIZED = b"\0\0\0\x1c"
BEGINNINGS = {
    "MPEG-4": SIZED + b"ftypM4A \0\0\2\0M4A isomiso2",
    "WebM": b"\x1a\x45\xdf\xa3\x9fB\x86\x81\1",
    "Windows Media": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),
    "AMR": b"#!AMR\n\x3c\x91",
    "AVI": b"RIFF\0\0\1\0AVI LIST",
    "JPEG": b"\xff\xd8\xff\xe0\0\x10JFIF",
    "PNG": b"\x89PNG\r\n\x1a\n",
    "ZIP": b"PK\3\4\x14\0",
    "gzip": b"\x1f\x8b\x08\0",
    "PDF": b"%PDF-1.7",
}


@pytest.mark.parametrize("name", BEGINNINGS)
def test_kinds_that_are_not_read_are_recognised(name: str) -> None:
    container = container_of(BEGINNINGS[name] + bytes(100))
    assert container is not None
    assert name in container.name
    assert not container.read


@pytest.mark.parametrize("name", ["WAV", "FLAC", "OGG", "AIFF", "CAF", "MP3", "W64", "RF64", "AU"])
def test_kinds_that_libsndfile_writes_are_read(name: str) -> None:
    file = io.BytesIO()
    soundfile.write(file, 0.1 * np.sin(np.arange(16000) / 9), 16000, format=name)
    container = container_of(file.getvalue()[:HEAD])
    assert container is not None
    assert container.read


def adts(size: int, frames: int) -> bytes:
    """Frames of AAC of so many bytes, after their header of 7."""
    head = bytes([0xFF, 0xF1, 0x60, 0x40 | size >> 11, size >> 3 & 0xFF, (size & 7) << 5 | 0x1F, 0xFC])
    return (head + b"\x55" * (size - 7)) * frames


def test_aac_is_recognised_by_its_second_frame() -> None:
    content = adts(300, 5)
    container = container_of(content)
    assert container is not None
    assert container.name == "AAC"
    assert container_of(content[:300] + bytes(400)) is None  # samples that begin by chance as a frame does


@given(st.integers(0, 2**32 - 1), st.floats(0.5, 40_000), st.integers(300, 2000))
def test_samples_are_no_text_and_no_container(seed: int, loudness: float, count: int) -> None:
    """Of a whole scale of loudness, from rounding to overdriven."""
    noise = np.random.default_rng(seed).normal(0, loudness, count).clip(-32768, 32767).round().astype("<i2").tobytes()
    assert not looks_like_text(noise)
    assert container_of(noise) is None or noise[:2] == b"\x0b\x77"  # AC-3 is known by two bytes alone


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16", "latin-1"])
@pytest.mark.parametrize("text", ["ds,y\n2024-01-01,5\n", "to be or not to be"])
def test_texts_are_recognised_in_any_encoding(encoding: str, text: str) -> None:
    assert looks_like_text(text.encode(encoding))


def test_chinese_is_text() -> None:
    assert all(looks_like_text("日期,销量\n一月,5\n".encode(encoding)) for encoding in ("utf-8", "gb18030", "utf-16"))

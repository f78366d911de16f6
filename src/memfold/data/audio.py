"""Sound from files and from a running input, as float32 samples of one channel at the rate a model works at."""

import io
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from memfold.errors import InputError

__all__ = ["SUFFIXES", "listen", "read_audio"]

Samples = NDArray[np.float32]
SUFFIXES = {f".{name.lower()}" for name in soundfile.available_formats()} | {".opus", ".aif"}
BLOCK = 0.1  # seconds that are taken from an input at once
# bytes of a sample in a WAV file -> how they are read
WIDTHS: dict[int, np.dtype[Any]] = {1: np.dtype("u1"), 2: np.dtype("<i2"), 4: np.dtype("<i4")}


def read_audio(source: str | Path | BinaryIO, rate: int, name: str = "") -> Samples:
    """Read a recording; several channels are averaged, another rate is resampled.

    Args:
        source: a file of any kind that libsndfile reads (WAV, FLAC, Ogg, Opus, MP3, ...), or an open one.
        rate: samples a second that are wanted.
        name: what to call an open file in errors.

    Returns:
        ``(N,)``, between -1 and 1.

    Raises:
        InputError: naming the file that is missing, unreadable, empty, or holds samples that are not finite.
    """
    name = name or str(source)
    if isinstance(source, str | Path) and not Path(source).is_file():
        raise InputError(f"{name}: no such file")
    try:
        samples, file_rate = soundfile.read(source, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        reason = getattr(error, "error_string", error)  # libsndfile's, without the file's name
        raise InputError(f"{name}: not readable as audio ({reason})") from None
    if not len(samples):
        raise InputError(f"{name}: holds no samples")
    mono: Samples = samples.mean(1)
    if not np.isfinite(mono).all():
        raise InputError(f"{name}: holds samples that are not finite")
    return mono if file_rate == rate else soxr.resample(mono, file_rate, rate)


def listen(source: BinaryIO, rate: int) -> Iterator[Samples]:
    """Take sound from an input as it comes, a tenth of a second at a time.

    Args:
        source: a WAV file, which is read as it grows; another audio file, which must end first; or, where it begins
            like none, raw samples of one channel: 16 bits, signed, little-endian, at ``rate``.
        rate: samples a second that are wanted.

    Raises:
        InputError: an input that is none of these, or empty.
    """
    peeked: io.BufferedReader[Any] = io.BufferedReader(_Raw(source), 1 << 16)
    head = peeked.peek(12)[:12]
    if not head:
        raise InputError("standard input: holds no sound")
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        yield from _growing_wave(cast(BinaryIO, peeked), rate)
    elif (
        head[:4] in (b"fLaC", b"OggS", b"FORM", b"caff") or head[:3] == b"ID3" or head[:2] in (b"\xff\xfb", b"\xff\xf3")
    ):
        samples = read_audio(io.BytesIO(peeked.read()), rate, "standard input")
        size = round(BLOCK * rate)
        yield from (samples[start : start + size] for start in range(0, len(samples), size))
    else:
        size = 2 * round(BLOCK * rate)
        while block := peeked.read(size):
            yield np.frombuffer(block[: len(block) // 2 * 2], "<i2").astype(np.float32) / np.float32(32768)


class _Raw(io.RawIOBase):
    """A source whose reads return what there is, so that nothing waits for a full buffer."""

    def __init__(self, source: BinaryIO) -> None:
        self.source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        read = getattr(self.source, "read1", self.source.read)
        data: bytes = read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _growing_wave(source: BinaryIO, rate: int) -> Iterator[Samples]:
    try:
        with wave.open(source, "rb") as file:
            width = file.getsampwidth()
            channels = file.getnchannels()
            file_rate = file.getframerate()
            if width not in WIDTHS:
                raise InputError(f"standard input: {8 * width} bits a sample; 8, 16 or 32 can be read")
            resampler = None if file_rate == rate else soxr.ResampleStream(file_rate, rate, 1, dtype="float32")
            heard = False
            while block := file.readframes(round(BLOCK * file_rate)):
                heard = True
                whole = len(block) // (width * channels) * width * channels
                samples = np.frombuffer(block[:whole], WIDTHS[width]).astype(np.float32).reshape(-1, channels).mean(1)
                samples = (samples - 128) / 128 if width == 1 else samples / 2 ** (8 * width - 1)
                yield samples if resampler is None else resampler.resample_chunk(samples)
            if not heard:
                raise InputError("standard input: holds no samples")
            if resampler is not None:
                yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)
    except (wave.Error, EOFError) as error:
        raise InputError(f"standard input: not readable as WAV ({error})") from None

"""The header of a WAV file: what its samples are, and whether they can be."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memfold.errors import InputError

__all__ = ["LEAST_RATE", "MOST_CHANNELS", "MOST_RATE", "WavHeader", "wav_header"]

LEAST_RATE, MOST_RATE, MOST_CHANNELS = 2000, 768_000, 64
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
MOST_BEFORE = 16 << 20  # bytes of other chunks before the samples
DTYPES: dict[tuple[int, int], Any] = {
    (PCM, 8): np.dtype("u1"),
    (PCM, 16): np.dtype("<i2"),
    (PCM, 24): np.dtype("u1"),  # three bytes
    (PCM, 32): np.dtype("<i4"),
    (FLOAT, 32): np.dtype("<f4"),
    (FLOAT, 64): np.dtype("<f8"),
}


@dataclass(frozen=True)
class WavHeader:
    """What stands before the samples of a WAV file.

    Attributes:
        tag: of the format, 1 for integers and 3 for floats.
        channels, rate, bits: of the samples.
        size: bytes of samples.
        begin: bytes before them.
    """

    tag: int
    channels: int
    rate: int
    bits: int
    size: int
    begin: int

    @property
    def frame(self) -> int:
        """Bytes of one sample of every channel."""
        return self.channels * self.bits // 8

    @property
    def endless(self) -> bool:
        """Whether the size only says that the recorder did not know it."""
        return self.size == 0xFFFFFFFF or 0x7FFFF000 <= self.size <= 0x80000000

    @property
    def plain(self) -> bool:
        """Whether `samples` can read what follows."""
        return (self.tag, self.bits) in DTYPES

    def check(self, name: str) -> None:
        """Refuse a header that cannot be.

        Raises:
            InputError: naming the file and the value.
        """
        if not 1 <= self.channels <= MOST_CHANNELS:
            raise InputError(f"{name}: its header says {self.channels} channels; expected 1 to {MOST_CHANNELS}")
        check_rate(self.rate, name)
        if self.tag in (PCM, FLOAT) and not self.plain:
            kind = "integers" if self.tag == PCM else "floats"
            widths = ", ".join(str(bits) for tag, bits in DTYPES if tag == self.tag)
            raise InputError(f"{name}: its header says {self.bits} bits a sample; {kind} of {widths} bits can be read")

    def samples(self, data: bytes) -> NDArray[np.float32]:
        """Bytes as samples ``(N, channels)``; a part of a frame at their end is left out."""
        data = data[: len(data) // self.frame * self.frame]
        if self.bits == 24:
            wide = np.zeros((len(data) // 3, 4), np.uint8)
            wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
            values = wide.view("<i4")[:, 0].astype(np.float32) / np.float32(2**31)
        else:
            with np.errstate(over="ignore"):  # becomes infinite, which is refused with other samples of that kind
                values = np.frombuffer(data, DTYPES[self.tag, self.bits]).astype(np.float32)
            if self.bits == 8:
                values = (values - 128) / 128
            elif self.tag == PCM:
                values /= 2.0 ** (self.bits - 1)
        return values.reshape(-1, self.channels)


def check_rate(rate: int, name: str) -> None:
    """Refuse a rate at which no sound is kept, of which resampling would make many times the samples.

    Raises:
        InputError: naming the file.
    """
    if not LEAST_RATE <= rate <= MOST_RATE:
        raise InputError(
            f"{name}: its header says a rate of {rate:,} samples a second; expected {LEAST_RATE:,} to {MOST_RATE:,}"
        )


def wav_header(read: Callable[[int], bytes], name: str) -> WavHeader:
    """Read what stands before the samples.

    Args:
        read: gives so many bytes of the file, fewer only at its end.

    Raises:
        InputError: the file ends before its samples, or is none.
    """
    begin = len(read(12))
    form = b""
    while len(chunk := read(8)) == 8:
        kind, size = chunk[:4], struct.unpack("<I", chunk[4:])[0]
        begin += 8
        if kind == b"data":
            if len(form) < 16:
                raise InputError(f"{name}: not readable as WAV (its header does not say what the samples are)")
            tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", form[:16])
            if tag == EXTENSIBLE and len(form) >= 26:
                tag = struct.unpack("<H", form[24:26])[0]
            return WavHeader(tag, channels, rate, bits, size, begin)
        size += size % 2
        if size > MOST_BEFORE:
            break
        content = read(size)
        begin += len(content)
        form = content if kind == b"fmt " else form
    raise InputError(f"{name}: not readable as WAV (no samples follow its header)")

"""Sound from files, arrays and a running input, as float32 samples of one channel at the rate a model works at."""

import io
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from memfold.data import ffmpeg
from memfold.data.containers import HEAD, OTHER_SUFFIXES, WAV, Container, container_of, looks_like_text
from memfold.data.wav import MOST_CHANNELS, WavHeader, check_rate, wav_header
from memfold.errors import InputError, shown

__all__ = [
    "MEAN",
    "READ_SUFFIXES",
    "SUFFIXES",
    "Sound",
    "Source",
    "Waveform",
    "channel_of",
    "check_sound",
    "head_of",
    "listen",
    "path_of",
    "read_audio",
    "read_sound",
    "refuse_no_sound",
]

Samples = NDArray[np.float32]
READ_SUFFIXES = {f".{name.lower()}" for name in soundfile.available_formats()} | {".opus", ".aif", ".oga", ".wave"}
SUFFIXES = READ_SUFFIXES | OTHER_SUFFIXES  # of the latter, each is named with what to do
BLOCK = 0.1  # seconds that are taken from an input at once
FRAMES = 1 << 14  # that are taken from a file at once
LONG = 600  # seconds of a recording whose length is not known before, from which on it is said
MOST_SECONDS, MOST_SAMPLES = 3 * 3600, 1 << 29  # of a recording, at the rate that is wanted
TEXT = 256  # bytes of an input that show whether it is a text
MOST_BYTES = 256 << 20  # of a file on standard input that must end before it is read
LOUDEST = 100.0  # 40 dB above full scale
SILENT = 4 / 2**15  # between the least and the greatest sample: a silence that was dithered
APART = 0.75  # of the channels' power, below which their mean has so little left that they differ much
MEAN, SIDES = "mean", {"left": 0, "right": 1}  # which channel is taken
CANCELLED = 0.01  # of the channels' power that is left in their mean
INPUT = "standard input"
# of an array's type -> what full scale is in it, and what silence
SCALES = {"int16": (2**15, 0), "int32": (2**31, 0), "uint8": (2**7, 2**7), "int8": (2**7, 0)}


@dataclass(frozen=True, eq=False)
class Waveform:
    """Samples that are given in the place of a file.

    Attributes:
        name: what to call them.
        samples: ``(N, channels)``, between -1 and 1.
        rate: samples a second.
    """

    name: str
    samples: Samples
    rate: int

    def __str__(self) -> str:
        return self.name

    @classmethod
    def of(cls, array: Any, rate: Any, name: str) -> "Waveform":
        """An array ``(N,)`` or ``(N, channels)`` of floats from -1 to 1, or of integers of 8, 16 or 32 bits.

        Raises:
            InputError: another shape or type, or a rate that cannot be.
        """
        if isinstance(rate, bool) or not isinstance(rate, int | float | np.integer | np.floating) or rate != int(rate):
            raise InputError(f"{name}: expected (samples, rate) with whole samples a second, got {shown(rate)}")
        check_rate(int(rate), name)
        values = np.asarray(array)
        if values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] > 8):
            raise InputError(
                f"{name}: an array of shape {values.shape}; expected (samples,), or (samples, channels) of up to 8 "
                "channels; give several recordings as a list"
            )
        if values.dtype.kind == "f":
            samples = values.astype(np.float32)
        elif values.dtype.name in SCALES:
            full, middle = SCALES[values.dtype.name]
            samples = ((values.astype(np.float64) - middle) / full).astype(np.float32)
        else:
            raise InputError(
                f"{name}: an array of {values.dtype}, whose scale is not known; expected floats from -1 to 1, or int16"
            )
        return cls(name, samples.reshape(len(samples), -1), int(rate))


Source = Path | Waveform


@dataclass(frozen=True)
class Sound:
    """A recording, and what is worth knowing about it.

    Attributes:
        samples: ``(N,)``, between -1 and 1, at the rate that was asked for.
        rate, channels: of the file.
        cut: the file is shorter than its header says.
        silent: nothing is heard in it.
        cancelled: the channels are opposites, of whose mean next to nothing is left.
        apart: the channels that were averaged differ much, as those of the two sides of a call do.
    """

    samples: Samples
    rate: int
    channels: int
    cut: bool = False
    silent: bool = False
    cancelled: bool = False
    apart: bool = False


def channel_of(text: str) -> int | None:
    """The channel that is taken, the first being 0; None for the mean of all.

    Args:
        text: ``mean``, ``left``, ``right``, or a number.

    Raises:
        InputError: something else.

    >>> channel_of("mean"), channel_of("right"), channel_of("0")
    (None, 1, 0)
    """
    if text == MEAN:
        return None
    if text in SIDES:
        return SIDES[text]
    if not text.isdecimal() or int(text) >= MOST_CHANNELS:
        raise InputError(f"channel must be mean, left, right or a number from 0, got {shown(text)}")
    return int(text)


def read_audio(source: str | Source | BinaryIO, rate: int, name: str = "") -> Samples:
    """The samples of `read_sound` alone."""
    return read_sound(source, rate, name).samples


def read_sound(
    source: str | Source | BinaryIO,
    rate: int,
    name: str = "",
    before: Callable[[float], None] | None = None,
    channel: str = MEAN,
) -> Sound:
    """Read a recording; several channels are averaged, or one of them is taken; another rate is resampled.

    Args:
        source: a file of any kind that libsndfile reads (WAV, FLAC, Ogg, Opus, MP3, AIFF ...), an open one, or samples.
        rate: samples a second that are wanted.
        name: what to call an open file in errors.
        before: is called with the seconds that it lasts, before it is read.
        channel: as `channel_of` takes it.

    Raises:
        InputError: naming the file that is missing, of a kind that is not read, unreadable, empty, too long, or holds
            samples that are not finite or far too loud; and what to do.
    """
    name = name or str(source)
    if isinstance(source, Waveform):
        take = _Taking(name, source.rate, rate, channel)
        take.begin(len(source.samples), before)
        for start in range(0, len(source.samples), FRAMES):
            take.add(source.samples[start : start + FRAMES])
        return take.sound(False)
    if (container := _for_ffmpeg(source, name)) is not None:
        return _through_ffmpeg(Path(source), container, rate, before, channel)  # type: ignore[arg-type]
    cut = _checked(source, name)
    try:
        with soundfile.SoundFile(source) as file:
            check_rate(file.samplerate, name)
            take = _Taking(name, file.samplerate, rate, channel)
            take.begin(file.frames, before)
            promised, taken = file.frames, 0
            try:
                while len(block := file.read(FRAMES, dtype="float32", always_2d=True)):
                    taken += len(block)
                    take.add(block)
            except soundfile.LibsndfileError:
                if not taken:
                    raise
                cut = True  # what could be read stays
    except (soundfile.LibsndfileError, OSError, TypeError) as error:
        raise _unreadable(source, name, error) from None
    return take.sound(cut or promised - taken > BLOCK * take.rate)


def check_sound(source: Source) -> None:
    """Refuse a recording by its beginning, without reading its samples.

    Raises:
        InputError: as `read_sound`.
    """
    if isinstance(source, Waveform):
        return
    name = str(source)
    if _for_ffmpeg(source, name) is not None:
        return
    _checked(source, name)
    try:
        with soundfile.SoundFile(source) as file:
            check_rate(file.samplerate, name)
            if not file.frames:
                raise InputError(f"{name}: holds no samples")
    except (soundfile.LibsndfileError, OSError, TypeError) as error:
        raise _unreadable(source, name, error) from None


def _for_ffmpeg(source: str | Path | BinaryIO, name: str) -> Container | None:
    """The kind of a file that ffmpeg is to read: one that libsndfile does not, where ffmpeg is there."""
    if not isinstance(source, str | Path):
        return None
    container = container_of(head_of(source, name))
    if container is None or not ffmpeg.reads(container):
        return None
    if container.read:  # an Ogg file may hold other codecs than Vorbis and Opus
        try:
            soundfile.info(source)
        except (soundfile.LibsndfileError, OSError, TypeError):
            return container
        return None
    return container


def _through_ffmpeg(
    path: Path, container: Container, rate: int, before: Callable[[float], None] | None, channel: str
) -> Sound:
    """The whole sound of a file, as ffmpeg decodes it."""
    most = min(MOST_SECONDS, MOST_SAMPLES // rate)
    with ffmpeg.sound_through_ffmpeg(path, container, most + 1) as decoding:
        header = decoding.header
        take = _Taking(str(path), header.rate, rate, channel)
        taken = 0
        while block := decoding.samples.read(FRAMES * header.frame):
            part = header.samples(block)
            if taken < LONG * header.rate <= taken + len(part) and before is not None:
                before(float(LONG + 1))
            taken += len(part)
            if taken > most * header.rate:
                take.begin(taken)  # which refuses it
            take.add(part)
    return take.sound(decoding.faulty)


def _checked(source: str | Path | BinaryIO, name: str) -> bool:
    """Refuse a file by its first bytes and its header; returns whether it ends before its header says."""
    head = head_of(source, name)
    refuse_no_sound(head, name)
    header = _checked_header(source, name) if container_of(head) == WAV and head[:4] == b"RIFF" else None
    return header is not None and _is_cut(header, source)


def _unreadable(source: str | Path | BinaryIO, name: str, error: Exception) -> InputError:
    if not isinstance(source, str | Path):
        source.seek(0)
    remedy = f"; if others play it: {_conversion(name)}" if container_of(head_of(source, name)) else ""
    return InputError(f"{name}: not readable as audio ({_reason(error)}){remedy}")


def path_of(source: str | Path) -> Path:
    """A path that a file can have, whether or not there is one.

    Raises:
        InputError: no file can have that name.
    """
    path = Path(source)
    try:
        path.stat()
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{shown(str(path))}: no such file or folder ({reason})") from None
    return path


def head_of(source: str | Path | BinaryIO, name: str) -> bytes:
    """The first bytes of a file.

    Raises:
        InputError: there is no such file, or it is empty.
    """
    try:
        if isinstance(source, str | Path):
            if not Path(source).is_file():
                raise InputError(f"{name[:200]}: no such file")
            with open(source, "rb") as file:
                head = file.read(HEAD)
        else:
            head = source.read(HEAD)
            source.seek(0)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{shown(name)}: cannot be read ({reason})") from None
    if not head:
        raise InputError(f"{name}: the file is empty")
    return head


def refuse_no_sound(head: bytes, name: str) -> None:
    """Refuse a file of a kind that is not read, by its first bytes.

    Raises:
        InputError: saying what it is, and what to do.
    """
    container = container_of(head)
    if container is None and looks_like_text(head):
        raise InputError(f"{name}: not readable as audio (a text: {_first_line(head)})")
    if container is None and name.lower().endswith(".raw"):
        raise InputError(
            f"{name}: samples without a header, of which rate and width are not known; for 16 bits at 16,000 a second: "
            f"{_conversion(name, '-f s16le -ar 16000 -ac 1 ')}"
        )
    if container is not None and not container.read:
        remedy = f"; convert it: {_conversion(name)}" if container.sound else ""
        without = " without ffmpeg, which is not installed" if container.name in ffmpeg.DEMUXERS else ""
        raise InputError(f"{name}: {_kind(container)}, which is not read{without}{remedy}")


def _kind(container: Container) -> str:
    return container.name if container.name.startswith(("a ", "packed ")) else f"a file of {container.name}"


def _conversion(name: str, options: str = "") -> str:
    """What to type to have a file as WAV, beside it and under another name."""
    if name == INPUT:
        return "ffmpeg -i FILE -f wav - | memfold stream MODEL"
    path = Path(name)
    other = path.with_suffix(".wav") if path.suffix.lower() != ".wav" else path.with_name(f"{path.stem}-read.wav")
    return f"ffmpeg {options}-i {shlex.quote(name)} {shlex.quote(str(other))}"


def _first_line(head: bytes) -> str:
    line = head.decode("utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", "replace").split("\n")[0]
    return repr(line.strip()[:40])


def _reason(error: Exception) -> str:
    return str(getattr(error, "error_string", error))  # libsndfile's, without the file's name


def _checked_header(source: str | Path | BinaryIO, name: str) -> WavHeader | None:
    if isinstance(source, str | Path):
        with open(source, "rb") as file:
            header = wav_header(file.read, name)
    else:
        header = wav_header(source.read, name)
        source.seek(0)
    header.check(name)
    return header


def _is_cut(header: WavHeader, source: str | Path | BinaryIO) -> bool:
    """Whether a file ends before the samples that its header names."""
    if isinstance(source, str | Path):
        size = Path(source).stat().st_size
    else:
        size = source.seek(0, io.SEEK_END)
        source.seek(0)
    return not header.endless and header.size - (size - header.begin) >= max(1, header.frame)


class _Taking:
    """A recording that is read block by block: averaged, checked, resampled."""

    def __init__(self, name: str, file_rate: int, rate: int, channel: str = MEAN) -> None:
        self.name, self.rate, self.wanted = name, file_rate, rate
        self.channel = channel_of(channel)
        self.resampler = None if file_rate == rate else soxr.ResampleStream(file_rate, rate, 1, dtype="float32")
        self.blocks: list[Samples] = []
        self.channels = 0
        self.least, self.greatest = np.inf, -np.inf
        self.power = self.mono_power = 0.0

    def begin(self, frames: int, before: Callable[[float], None] | None = None) -> None:
        """Refuse a recording that lasts too long, before it is read."""
        seconds, most = frames / self.rate, min(MOST_SECONDS, MOST_SAMPLES // self.wanted)
        if seconds > most:
            parts = shlex.quote(str(Path(self.name).with_suffix(""))) + "-%03d.wav"
            raise InputError(
                f"{self.name}: lasts {seconds / 60:.0f} minutes; {most // 60} at most are read at once; cut it: "
                f"ffmpeg -i {shlex.quote(self.name)} -f segment -segment_time 600 {parts}"
            )
        if before is not None:
            before(seconds)

    def add(self, block: Samples) -> Samples:
        """Take samples ``(N, channels)``; returns those that they complete at the rate that is wanted."""
        peak = float(np.abs(block).max(initial=0.0))
        if not np.isfinite(peak):
            raise InputError(f"{self.name}: holds samples that are not finite")
        if peak > LOUDEST:
            raise InputError(
                f"{self.name}: holds samples of up to {peak:.3g}; expected floats between -1 and 1 (divide 16-bit "
                "numbers by 32768)"
            )
        self.channels = block.shape[1]
        mono = self._one(block)
        self.least = min(self.least, float(mono.min(initial=np.inf)))
        self.greatest = max(self.greatest, float(mono.max(initial=-np.inf)))
        if self.channels > 1 and self.channel is None:
            self.power += float(np.square(block, dtype=np.float64).sum()) / self.channels
            self.mono_power += float(np.square(mono, dtype=np.float64).sum())
        samples = mono if self.resampler is None else self.resampler.resample_chunk(mono)
        self.blocks.append(samples)
        return samples

    def _one(self, block: Samples) -> Samples:
        """The mean of the channels, or the one that is taken."""
        if self.channel is None:
            mean: Samples = block.mean(1, dtype=np.float32)
            return mean
        if self.channel >= self.channels:
            there = "1 channel" if self.channels == 1 else f"{self.channels} channels"
            raise InputError(f"{self.name}: has {there}; channel {self.channel} was asked for, the first being 0")
        return np.ascontiguousarray(block[:, self.channel])

    def finish(self) -> Samples:
        """The samples that only the end completes."""
        if self.resampler is None:
            return np.zeros(0, np.float32)
        rest: Samples = self.resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        return rest

    def sound(self, cut: bool) -> Sound:
        """The whole recording.

        Raises:
            InputError: there is nothing in it.
        """
        if not self.channels:
            raise InputError(f"{self.name}: holds no samples")
        samples = np.concatenate([*self.blocks, self.finish()])
        if not len(samples):
            raise InputError(f"{self.name}: so short that resampling leaves no sample of it")
        return self.heard(samples, cut)

    def heard(self, samples: Samples, cut: bool) -> Sound:
        """What is known of the recording by now."""
        cancelled = self.channels > 1 and self.power > 0 and self.mono_power < CANCELLED / self.channels * self.power
        silent = self.greatest - self.least <= SILENT and not cancelled
        apart = self.channels > 1 and not cancelled and self.power > 0 and self.mono_power < APART * self.power
        channels = self.channels if self.channel is None else 1
        return Sound(samples, self.rate, channels, cut, silent, cancelled, apart)


# -- a running input -----------------------------------------------------------------------------------------


def listen(source: BinaryIO, rate: int, note: Callable[[Sound], None] = lambda sound: None) -> Iterator[Samples]:
    """Take sound from an input as it comes, a tenth of a second at a time.

    Args:
        source: a WAV file, which is read as it grows; another audio file, which must end first; or, where it begins
            like none, raw samples of one channel: 16 bits, signed, little-endian, at ``rate``.
        rate: samples a second that are wanted.
        note: is called with what is known of the sound, of a WAV file that grows at its beginning and at its end, of
            another file once it has ended; ``samples`` are empty then.

    Raises:
        InputError: an input that is none of these, or empty; a text, a picture, or a file of a kind that is not read.
    """
    running = _Input(source)
    head = running.peek(TEXT)
    if head[:1] == b"\xff":  # as frames of MPEG audio begin, whose next one shows whether it is one
        head = running.peek(HEAD)
    if not head:
        raise InputError(f"{INPUT}: holds no sound")
    container = container_of(head)
    if looks_like_text(head):
        raise InputError(f"{INPUT}: a text ({_first_line(head)}); expected {_expected(rate)}")
    if container is not None and not container.read:
        remedy = f"convert it: {_conversion(INPUT)}" if container.sound else ""
        raise InputError(f"{INPUT}: {_kind(container)}, which is not read; {remedy or f'expected {_expected(rate)}'}")
    if container is None:
        size = 2 * round(BLOCK * rate)
        take = _Taking(INPUT, rate, rate)
        while block := running.read(size):
            samples = np.frombuffer(block[: len(block) // 2 * 2], "<i2").astype(np.float32) / np.float32(32768)
            take.blocks.clear()
            yield take.add(samples[:, None])
        note(take.heard(np.zeros(0, np.float32), False))
    elif container == WAV and head[:4] == b"RIFF":
        yield from _growing_wav(running, rate, note)
    else:
        yield from _ended(running.read(MOST_BYTES + 1), rate, note)


def _expected(rate: int) -> str:
    recorder = f"arecord -f S16_LE -c 1 -r {rate}"
    return f"sound: a WAV file, or raw samples of 16 bits, one channel, {rate:,} a second ({recorder})"


class _Input:
    """An input whose first bytes may be looked at before they are read; a read is shorter only at the end."""

    def __init__(self, source: BinaryIO) -> None:
        self.take: Callable[[int], bytes] = getattr(source, "read1", source.read)
        self.held = b""

    def peek(self, count: int) -> bytes:
        parts, size = [self.held], len(self.held)
        while size < count and (data := self.take(min(count - size, 1 << 16))):
            parts.append(data)
            size += len(data)
        self.held = b"".join(parts)
        return self.held[:count]

    def read(self, count: int) -> bytes:
        data = self.peek(count)
        self.held = self.held[count:]
        return data


def _growing_wav(running: _Input, rate: int, note: Callable[[Sound], None]) -> Iterator[Samples]:
    consumed = bytearray()

    def read(count: int) -> bytes:
        data = running.read(count)
        consumed.extend(data)
        return data

    header = wav_header(read, INPUT)
    header.check(INPUT)
    if not header.plain:  # packed samples, such as A-law
        yield from _ended(bytes(consumed) + running.read(MOST_BYTES + 1 - len(consumed)), rate, note)
        return
    nothing = np.zeros(0, np.float32)
    note(Sound(nothing, header.rate, header.channels))
    take = _Taking(INPUT, header.rate, rate)
    size = round(BLOCK * header.rate) * header.frame
    left = header.size if header.size and not header.endless else None
    while block := running.read(size if left is None else min(size, left)):
        left = None if left is None else left - len(block)
        take.blocks.clear()
        if len(samples := header.samples(block)):
            yield take.add(samples)
    if not take.channels:
        raise InputError(f"{INPUT}: holds no samples")
    yield take.finish()
    heard = take.heard(nothing, bool(left))
    note(Sound(nothing, rate, 1, heard.cut, heard.silent, heard.cancelled))


def _ended(content: bytes, rate: int, note: Callable[[Sound], None]) -> Iterator[Samples]:
    if len(content) > MOST_BYTES:
        raise InputError(
            f"{INPUT}: more than {MOST_BYTES >> 20} MB of a file that must end before it is read; give the file to "
            "memfold predict"
        )
    sound = read_sound(io.BytesIO(content), rate, INPUT)
    note(sound)
    size = round(BLOCK * rate)
    yield from (sound.samples[start : start + size] for start in range(0, len(sound.samples), size))

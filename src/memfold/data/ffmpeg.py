"""Sound of kinds that libsndfile does not read, through the program ffmpeg where it is installed.

Nothing of the file decides what ffmpeg opens: the demuxer is the one of the container that the file's first bytes name,
so that no playlist is followed, and no protocol is allowed but that of files and pipes.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import IO

from memfold.data.containers import Container
from memfold.data.wav import WavHeader, wav_header
from memfold.errors import InputError

__all__ = ["DEMUXERS", "Decoding", "ffmpeg", "reads", "sound_through_ffmpeg"]

# a container's name -> the demuxer that may open it
DEMUXERS = {
    "MPEG-4 (m4a, mp4)": "mov",
    "WebM or Matroska": "matroska",
    "Ogg": "ogg",
    "AAC": "aac",
    "AMR": "amr",
    "AC-3": "ac3",
    "Windows Media (wma)": "asf",
    "AVI": "avi",
    "Flash video": "flv",
    "Monkey's Audio (ape)": "ape",
    "WavPack": "wv",
    "DSD": "dsf",
    "RealMedia": "rm",
    "RealAudio": "rm",
    "MPEG video": "mpeg",
}
MOST_WAIT = 600  # seconds that ffmpeg may take for a file
MOST_SAID = 400  # letters of what it says


@dataclass
class Decoding:
    """What ffmpeg makes of a file.

    Attributes:
        header: of a WAV file.
        samples: to be read block by block, after the header.
        faulty: ffmpeg ended with complaints; known at the end.
    """

    header: WavHeader
    samples: IO[bytes]
    faulty: bool = False


def ffmpeg() -> str | None:
    """Where the program is; None where it is not installed."""
    return shutil.which("ffmpeg")


def reads(container: Container | None) -> bool:
    """Whether ffmpeg is there and may open a kind of file."""
    return container is not None and container.name in DEMUXERS and ffmpeg() is not None


@contextmanager
def sound_through_ffmpeg(path: Path, container: Container, seconds: float) -> Iterator[Decoding]:
    """The first track of sound in a file, as floats.

    Args:
        container: of the file, by its first bytes.
        seconds: of sound, at most.

    Raises:
        InputError: naming the file: there is no sound in it, it cannot be read, or that takes too long.
    """
    program = ffmpeg()
    assert program is not None
    command = [program, "-nostdin", "-hide_banner", "-v", "error", "-protocol_whitelist", "file,pipe"]
    command += ["-f", DEMUXERS[container.name], "-i", f"file:{path.absolute()}", "-map", "0:a:0", "-vn", "-sn", "-dn"]
    command += ["-t", f"{seconds:.0f}", "-map_metadata", "-1", "-c:a", "pcm_f32le", "-f", "wav", "pipe:1"]
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints)
        timer = Timer(MOST_WAIT, process.kill)
        timer.start()
        assert process.stdout is not None
        try:
            header = _header(process.stdout, path)
            decoding = None if header is None else Decoding(header, process.stdout)
            if decoding is not None:
                yield decoding
            process.wait()
            if not timer.is_alive():
                raise InputError(f"{path}: ffmpeg took longer than {MOST_WAIT // 60} minutes; convert it by itself")
            said = _said(complaints)
            if decoding is None:
                raise InputError(f"{path}: {said or f'not readable as audio (ffmpeg: exit code {process.returncode})'}")
            decoding.faulty = bool(said)
        finally:
            timer.cancel()
            process.kill()  # which it outlives only where the samples were not read to their end
            process.stdout.close()
            process.wait()


def _header(samples: IO[bytes], path: Path) -> WavHeader | None:
    try:
        header = wav_header(samples.read, str(path))
        header.check(str(path))
    except InputError:
        return None
    return header


def _said(complaints: IO[bytes]) -> str:
    """What ffmpeg complained of, in a line; nothing where it did not."""
    complaints.seek(0)
    lines = complaints.read(1 << 16).decode("utf-8", "replace").split("\n")
    if any("matches no streams" in line for line in lines):
        return "holds no sound"
    reason = next((line.strip() for line in lines if line.strip()), "")
    reason = re.sub(r"^\[[^\]]*\] ", "", reason)[:MOST_SAID]  # the part of ffmpeg that says it
    return f"not readable as audio (ffmpeg: {reason})" if reason else ""

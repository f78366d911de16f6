"""What kind of file some bytes begin, whatever the file's name ends in."""

from dataclasses import dataclass

__all__ = ["HEAD", "OTHER_SUFFIXES", "Container", "container_of", "looks_like_text"]

HEAD = 4096  # bytes that are enough to recognise a file
# files that hold sound, as their names end, which libsndfile does not read
# fmt: off
OTHER_SUFFIXES = {
    ".m4a", ".m4b", ".m4r", ".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".aac", ".adts", ".webm", ".mkv", ".mka", ".wma",
    ".asf", ".wmv", ".amr", ".awb", ".ac3", ".eac3", ".avi", ".ape", ".wv", ".dsf", ".mpc", ".ra", ".rm", ".flv",
    ".mpg", ".mpeg", ".spx",
}
# fmt: on


@dataclass(frozen=True)
class Container:
    """A kind of file.

    Attributes:
        name: as a person calls it.
        sound: it may hold sound.
        read: libsndfile reads it.
    """

    name: str
    sound: bool = True
    read: bool = False


WAV = Container("WAV", read=True)
MP3 = Container("MP3", read=True)
# first bytes -> what they begin
BEGINNINGS = {
    b"RF64": WAV,
    b"RIFX": WAV,
    b"riff\x2e\x91\xcf\x11": Container("Wave64", read=True),
    b"fLaC": Container("FLAC", read=True),
    b"OggS": Container("Ogg", read=True),
    b"FORM": Container("AIFF", read=True),
    b"caff": Container("CAF", read=True),
    b".snd": Container("AU", read=True),
    b"ID3": MP3,
    b"\x1a\x45\xdf\xa3": Container("WebM or Matroska"),
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": Container("Windows Media (wma)"),
    b"#!AMR": Container("AMR"),
    b"\x0b\x77": Container("AC-3"),
    b"FLV\x01": Container("Flash video"),
    b"MAC ": Container("Monkey's Audio (ape)"),
    b"wvpk": Container("WavPack"),
    b"DSD ": Container("DSD"),
    b"MPCK": Container("Musepack"),
    b"MP+": Container("Musepack"),
    b".RMF": Container("RealMedia"),
    b".ra\xfd": Container("RealAudio"),
    b"\x00\x00\x01\xba": Container("MPEG video"),
    b"MThd": Container("MIDI, which holds notes and no sound", sound=False),
    b"\x89PNG": Container("a picture (PNG)", sound=False),
    b"\xff\xd8\xff": Container("a picture (JPEG)", sound=False),
    b"GIF8": Container("a picture (GIF)", sound=False),
    b"%PDF": Container("PDF", sound=False),
    b"PK\x03\x04": Container("a ZIP archive", sound=False),
    b"\x1f\x8b\x08": Container("packed by gzip", sound=False),
    b"PAR1": Container("a table (Parquet)", sound=False),
}
RIFFS = {b"WAVE": WAV, b"AVI ": Container("AVI"), b"WEBP": Container("a picture (WebP)", sound=False)}
MPEG_4 = Container("MPEG-4 (m4a, mp4)")
AAC = Container("AAC")
# thousands of bits a second of MPEG audio, by layer and by whether it is version 1
KILOBITS = {
    (1, True): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (2, True): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (3, True): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (1, False): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, False): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (3, False): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = (44100, 48000, 32000)
VERSIONS = {0: 4, 2: 2, 3: 1}  # MPEG 2.5, 2 and 1: how many times lower the rate is


def container_of(head: bytes) -> Container | None:
    """The kind of file that its first `HEAD` bytes begin; None where they are nothing known.

    >>> container_of(b"RIFF....WAVEfmt ").name, container_of(b"....ftypM4A ....").name
    ('WAV', 'MPEG-4 (m4a, mp4)')
    """
    if head[:4] == b"RIFF":
        return RIFFS.get(head[8:12])
    if head[4:8] == b"ftyp" or (head[4:8] in (b"moov", b"mdat") and head[:2] == b"\0\0"):
        return MPEG_4
    for beginning, container in BEGINNINGS.items():
        if head.startswith(beginning):
            return container
    for frame, container in ((_aac_frame, AAC), (_mpeg_frame, MP3)):
        length = frame(head)
        if length and (len(head) == length or frame(head[length:])):  # one frame may be chance, two are not
            return container
    return None


def looks_like_text(head: bytes) -> bool:
    """Whether bytes are those of a text: no control characters but ends of lines, and none that no encoding has.

    Samples of sound have such bytes: 16 quiet ones hold zeros or 0xff, and of loud ones an eighth are below 0x20.

    >>> looks_like_text("day,sales\\n早上,5\\n".encode()), looks_like_text(b"\\x10\\x00\\xf3\\xff")
    (True, False)
    """
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = head[: len(head) // 2 * 2].decode("utf-16", "replace").translate(dict.fromkeys(map(ord, "\t\r\n"), " "))
        return len(text) > 1 and text.isprintable() and "\ufffd" not in text[:-1]
    return bool(head) and not any((byte < 0x20 and byte not in b"\t\n\f\r") or byte in b"\x7f\xff" for byte in head)


def _aac_frame(head: bytes) -> int:
    """The bytes of the ADTS frame that begins there; 0 where none does."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or (head[2] >> 2) & 15 > 12:
        return 0
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if length > 7 else 0


def _mpeg_frame(head: bytes) -> int:
    """The bytes of the frame of MPEG audio that begins there; 0 where none does."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return 0
    version, layer, kilobits, rate = (head[1] >> 3) & 3, 4 - ((head[1] >> 1) & 3), head[2] >> 4, (head[2] >> 2) & 3
    if version not in VERSIONS or layer == 4 or kilobits in (0, 15) or rate == 3:
        return 0
    rate, padding, first = RATES[rate] // VERSIONS[version], (head[2] >> 1) & 1, version == 3
    bits = 1000 * KILOBITS[layer, first][kilobits]
    if layer == 1:
        return 4 * (12 * bits // rate + padding)
    return (144 if layer == 2 or first else 72) * bits // rate + padding

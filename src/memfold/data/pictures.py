"""Single pictures: what people have of them, files or arrays, and what cannot be read of it."""

import importlib.util
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from memfold.data.folders import files_at, files_below, is_folder, left_out_below
from memfold.data.labels import listed
from memfold.data.tones import Deep
from memfold.display import say
from memfold.errors import InputError, shown

__all__ = [
    "FOREIGN",
    "HAS_HEIF",
    "SUFFIXES",
    "UNREADABLE",
    "deep_of",
    "image_of",
    "opened",
    "path_of",
    "pictures_at",
    "reason_of",
    "say_left_out",
    "several",
    "upright",
]

HAS_HEIF = importlib.util.find_spec("pillow_heif") is not None  # an optional package, which reads what phones write
if HAS_HEIF:
    import pillow_heif  # type: ignore[import-not-found, unused-ignore]

    pillow_heif.register_heif_opener()

SUFFIXES = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
CONVERT = "convert it to JPEG or PNG"
HEIF = f"HEIF: {CONVERT}" if HAS_HEIF else f"HEIF: pip install pillow-heif, or {CONVERT}"
RAW = (".3fr", ".arw", ".cr2", ".cr3", ".dng", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".srw")
FOREIGN = {  # pictures that are not read, with the remedy
    suffix: reason
    for suffix, reason in {
        **dict.fromkeys((".heic", ".heif", ".hif"), HEIF),
        **dict.fromkeys((".avif", ".avifs"), f"AVIF: {CONVERT}"),
        **dict.fromkeys(RAW, f"a camera's raw file: {CONVERT}"),
        **dict.fromkeys((".psd", ".psb", ".xcf", ".ai", ".svg"), f"a drawing: {CONVERT}"),
        **dict.fromkeys((".dcm", ".nii", ".czi", ".lif", ".nd2", ".exr", ".hdr", ".npy"), "convert it to TIFF"),
        ".pdf": f"a PDF: {CONVERT}",
        ".jxl": f"JPEG XL: {CONVERT}",
    }.items()
    if suffix not in SUFFIXES
}
DEEP = {"I;16": "16-bit", "I;16B": "16-bit", "I;16L": "16-bit", "I;16N": "16-bit", "I": "32-bit", "F": "float"}
DARK = 16  # high bytes of 16-bit colours, of which Pillow reads no more, below which they are empty
MOST_PIXELS = 100_000_000  # that an image may claim; each takes up to 8 bytes while it is decoded and turned
UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    NotImplementedError,
    TypeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """An image file, of which Pillow has read the head; what it warns of, such as odd notes of a camera, is not shown.

    Raises:
        OSError and others of `UNREADABLE`: it cannot be read, or claims more than `MOST_PIXELS` pixels.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = Image.open(path)
        except Image.DecompressionBombError as error:
            raise ValueError(f"{str(error).partition(', could')[0]}; scale it down") from None
        with image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise ValueError(
                    f"{width:,}x{height:,} pixels, of which {MOST_PIXELS:,} at most are read; scale it down"
                )
            yield image


def image_of(array: Any, place: int = 0) -> Image.Image | Deep:
    """An image given as an array ``(H, W)``, ``(H, W, 1)`` or ``(H, W, 3)``, of bytes or other numbers; one of Pillow.

    Raises:
        InputError: it is none.
    """
    if isinstance(array, Image.Image):
        return array
    values = np.asarray(array)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    fits = values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (3, 4))
    if values.dtype.kind not in "biuf" or not fits or not values.size:
        raise InputError(
            f"image {place}: expected numbers of (H, W) or (H, W, 3), got {values.dtype} of {values.shape}"
        )
    if values.dtype.kind == "b":
        return Image.fromarray(np.where(values, 255, 0).astype(np.uint8))
    if values.dtype == np.uint8:
        return Image.fromarray(values)
    if not np.isfinite(values).any():
        raise InputError(f"image {place}: holds no finite number")
    if values.ndim == 3 and values.shape[2] == 4:
        raise InputError(f"image {place}: of four channels expected bytes, got {values.dtype}")
    kind = "float" if values.dtype.kind == "f" else "16-bit" if values.dtype.itemsize == 2 else "32-bit"
    return Deep(kind, np.atleast_3d(values).transpose(2, 0, 1).astype(np.float32))


def upright(image: Image.Image) -> Image.Image:
    """An image turned as its camera noted, which is how a viewer shows it."""
    return ImageOps.exif_transpose(image)


def deep_of(image: Image.Image) -> Deep | None:
    """The numbers of an image that has others than bytes.

    Raises:
        ValueError: they are 16-bit colours, of which Pillow reads the high bytes only, and these are empty.
    """
    if image.mode in DEEP:
        values = np.asarray(image).astype(np.float32)[None]
        if not np.isfinite(values).any():
            raise ValueError("holds no finite number")
        return Deep(DEEP[image.mode], values)
    if any(";16" in str(tile[3]) for tile in getattr(image, "tile", [])):
        brightest = int(np.asarray(image)[..., :3].max())
        if brightest < DARK:
            raise ValueError(
                "16 bits a colour, of which only the high eight are read, and they are empty; save it as 8"
            )
    return None


def reason_of(error: BaseException, source: Any = None) -> str:
    """Why an image cannot be read, and what to do where that is known."""
    if "cannot identify" in str(error):
        path = Path(source) if isinstance(source, str | Path) else None
        return (path and _kind_of(path)) or "not an image"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _kind_of(path: Path) -> str | None:
    """What a file is that Pillow does not read, by its first bytes or its name."""
    try:
        with open(path, "rb") as file:
            head = file.read(12)
    except OSError:
        head = b""
    if not head:
        return "an empty file"
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"heim", b"hevc", b"mif1", b"msf1"):
        return HEIF
    if head.startswith(b"%PDF"):
        return FOREIGN[".pdf"]
    return FOREIGN.get(path.suffix.lower())


def several(data: Any) -> list[Any]:
    """Images or their paths as a list, where there may also be one alone.

    Raises:
        InputError: there is none.
    """
    if isinstance(data, str | Path | Image.Image):
        return [data]
    if hasattr(data, "__array__") and not isinstance(data, list | tuple):
        array = np.asarray(data)
        if array.dtype.kind in "biuf" and (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))):
            return [array]
    try:
        images = list(data)
    except TypeError:
        raise InputError(f"expected images or their paths, got {shown(data)}") from None
    if not images:
        raise InputError("no images given")
    return images


def pictures_at(data: Any) -> list[Any]:
    """Images, and the files that paths name: files themselves, or folders of which every image is taken.

    Of several, paths at which there is nothing are left out, and named on standard error.

    Raises:
        InputError: there is nothing by any of the paths, or nothing at all is given.
    """
    items = several(data)
    pictures: list[Any] = []
    missing: list[str] = []
    for item in items:
        if not isinstance(item, str | Path):
            pictures.append(item)
            continue
        try:
            pictures += _files_at(Path(item))
        except InputError as error:
            missing.append(str(error))
    if not pictures:
        raise InputError(missing[0] + (f"; nor can the {len(missing) - 1} others be read" if missing[1:] else ""))
    if missing:
        say(f"{len(missing)} of {len(items)} paths are left out: {listed(missing)}")
    return pictures


def _files_at(path: Path) -> list[Path]:
    if is_folder(path):
        say_left_out(path)
        if not files_below(path, SUFFIXES) and (foreign := files_below(path, FOREIGN)):
            reason = FOREIGN[foreign[0].suffix.lower()]
            raise InputError(f"{path}: holds no images that can be read; {foreign[0].name} is {reason}")
    return files_at(path, SUFFIXES, "images")


def say_left_out(root: Path) -> None:
    """Name the pictures in a folder that are of a kind that is not read, and count what is none."""
    foreign = files_below(root, FOREIGN)
    others = left_out_below(root, {*SUFFIXES, *FOREIGN})
    parts = []
    if foreign:
        kinds: dict[str, list[Path]] = {}
        for path in foreign:
            kinds.setdefault(FOREIGN[path.suffix.lower()], []).append(path)
        for reason, paths in kinds.items():
            count = "1 image" if len(paths) == 1 else f"{len(paths):,} images"
            parts.append(f"{count}, {listed(map(str, paths))} ({reason})")
    if parts or others:
        say(f"{root}: left out: {'; '.join([*parts, *([others] if others else [])])}")


def path_of(source: Any) -> Path:
    """A path that is given as one.

    Raises:
        InputError: something else is given.
    """
    if not isinstance(source, str | Path):
        raise InputError(f"expected the path of a folder or a file, got {shown(source)}")
    return Path(source)

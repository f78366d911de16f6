"""Files changed at random, to be read by every reader whose parser is ours: each is read, or refused as InputError.

    python tests/fuzz_readers.py --minutes 10            every reader in turn, by --seed
    python tests/fuzz_readers.py wav tables --files 500  so many files for each of some readers
    python tests/fuzz_readers.py wav --atheris           one reader, led by what of it has run; pip install atheris

What is neither is kept in build/fuzz. A file may take two seconds of the processor.
"""

import argparse
import io
import json
import random
import struct
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from types import FunctionType
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import numpy as np  # noqa: E402

from memfold.data.audio import listen, read_sound  # noqa: E402
from memfold.data.box_files import read_boxes, read_splits  # noqa: E402
from memfold.data.images import read_classes  # noqa: E402
from memfold.data.incoming import incoming_lines  # noqa: E402
from memfold.data.labelled import read_labelled  # noqa: E402
from memfold.data.parallel import read_parallel  # noqa: E402
from memfold.data.readings import read_readings  # noqa: E402
from memfold.data.tables import read_series  # noqa: E402
from memfold.data.texts import read_text  # noqa: E402
from memfold.errors import InputError  # noqa: E402
from memfold.files import read_json, sha256  # noqa: E402
from memfold.pretrained.streaming import ForecastStream  # noqa: E402
from memfold.stream import Layer, Stream  # noqa: E402
from tasks.detect.exports import (  # noqa: E402
    write_cvat,
    write_keras,
    write_labelme,
    write_open_images,
    write_retinanet,
    write_tf,
    write_yolo,
)
from tasks.detect.scenes import coco_of, scenes, write_voc  # noqa: E402

__all__ = ["READERS", "Reader", "changed", "tried"]

MOST_SECONDS = 2.0  # of the processor that a file may take
LONGEST = 1 << 16  # bytes of a changed file


@dataclass(frozen=True)
class Reader:
    """A reader, and files that it reads.

    Attributes:
        name: of the file that is changed, in its folder.
        seeds: contents of the file.
        read: reads it, given its path.
        words: that are put into a file.
        beside: writes what else there is in the folder.
    """

    name: str
    seeds: tuple[bytes, ...]
    read: Callable[[Path], Any]
    words: tuple[bytes, ...] = ()
    beside: Callable[[Path], Any] = lambda folder: None


# -- files -------------------------------------------------------------------------------------------------------------

DAYS = [str(date(2024, 1, 20) + timedelta(k)) for k in range(40)]
TABLES = (
    "ds,y\n" + "".join(f"{k},{k % 7}.5\n" for k in range(30)),
    "Tag;Kasse;Filiale\n" + "".join(f"{d[8:]}.{d[5:7]}.{d[:4]};1.{k:03},5;Süd\n" for k, d in enumerate(DAYS[:28])),
    "unique_id\tds\ty\tlabel\n" + "".join(f'"a ""b"""\t{d}T00:00:00+01:00\t{k}\t0\n' for k, d in enumerate(DAYS[:20])),
    "# notes\n\ntime|value\n" + "".join(f"{1_700_000_000 + 3600 * k}|$1,{k:03}.50\n" for k in range(20)),
    "date,value\n" + "".join(f"{k} Jan 2023,({k}.5)\n" for k in range(1, 25)),
    "时间,值\n" + "".join(f"2024年1月{k}日,{k} %\n" for k in range(1, 20)),
    "\n".join(json.dumps({"ds": d, "y": k, "in": {"a": [k], "b": None}}) for k, d in enumerate(DAYS[:20])),
    "\n".join(json.dumps({"ds": k, "y": k / 8, "x": "a"}) for k in range(20)),
    json.dumps({"rows": [{"ds": d, "y": k} for k, d in enumerate(DAYS)]}),
)
TABLE_WORDS = tuple(
    word.encode()
    for word in (
        ',', ';', '\t', '|', '"', '""', "'", '\n', '\r', '\r\n', '\n\n', '\0', '\ufeff', '-', '+', '=', '.', ',,', '%',
        '$', '1e999', '-0', 'nan', 'inf', '9' * 25, '99999-12-31', '0000-00-00', '2024-02-30', '1.2.3', '24:00:00',
        '60', '+99:99', 'Z', '1/2/3', '{', '}', '[', ']', ':', 'null', 'true', '\\ud800', '\\u0000', '٣', '１', '−5',
        '1 000', 'Feb', '月', 'ds', 'y', 'unique_id', 'label', 'text', 'T', ' ',
    )
)  # fmt: skip
STREAMED = tuple("\n".join(TABLES[k].splitlines()[:9]).encode() for k in (0, 2, 6))
TEXTS = (
    "text,label\n" + "".join(f'"a film, number {k}",{("good", "bad")[k % 2]}\n' for k in range(12)),
    "\n".join(json.dumps({"review": f"film {k}", "stars": k % 3}) for k in range(12)),
    "".join(f"{k % 2}\tsome words {k}\n" for k in range(12)),
)
PAIRS = (
    "".join(f"a house {k}\tein Haus {k}\n" for k in range(9)),
    "en,de\n" + "".join(f"house {k},Haus {k}\n" for k in range(9)),
)
NUMBERS = tuple(struct.pack(kind, value) for kind, value in (
    ("<H", 0), ("<H", 1), ("<H", 0xFFFF), ("<I", 0), ("<I", 0xFFFFFFFF), ("<I", 0x7FFFFFFF), ("<I", 1 << 31),
    ("<Q", 1 << 63), (">I", 1), (">I", 0xFFFF), ("<Q", 8), ("<f", float("nan")), ("<f", float("inf")), ("<d", 1e308),
))  # fmt: skip


def _wav(tag: int, channels: int, rate: int, bits: int, before: bytes = b"") -> bytes:
    frame = channels * bits // 8
    samples = np.random.default_rng(0).integers(0, 256, 400 * frame, np.uint8).tobytes()
    if tag == 3:
        samples = np.linspace(-0.5, 0.5, 400 * channels).astype(f"<f{bits // 8}").tobytes()
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits)
    if tag == 0xFFFE:
        form += struct.pack("<HHI", 22, bits, 0) + struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")
    body = b"WAVE" + before + b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(samples))
    return b"RIFF" + struct.pack("<I", len(body) + len(samples)) + body + samples


WAVS = (
    _wav(1, 1, 8000, 16), _wav(1, 2, 16000, 24), _wav(3, 1, 8000, 32), _wav(3, 2, 8000, 64),
    _wav(0xFFFE, 1, 8000, 16), _wav(1, 1, 8000, 8),
    _wav(1, 2, 8000, 32, b"LIST" + struct.pack("<I", 6) + b"INFOab"),
)  # fmt: skip
IDX = b"\0\0\x08\x03" + struct.pack(">III", 12, 5, 5) + bytes(range(256)) + bytes(44)
SCENES = scenes(3)
IDX_NAME = "train-images-idx3-ubyte"


def _idx_labels(folder: Path) -> None:
    (folder / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + struct.pack(">I", 12) + bytes([0, 1] * 6))


def _scenes(folder: Path) -> None:
    write_voc(folder, SCENES)
    for image in (folder / "JPEGImages").iterdir():
        (folder / image.name).write_bytes(image.read_bytes())


def _voc_seeds() -> tuple[bytes, ...]:
    with tempfile.TemporaryDirectory() as scratch:
        write_voc(Path(scratch), SCENES)
        return tuple(file.read_bytes() for file in sorted((Path(scratch) / "Annotations").iterdir()))


def _yolo_scenes(folder: Path) -> None:
    write_yolo(folder, SCENES)


def _seeds_of(*writers: Callable[[Path, Any], Path]) -> tuple[bytes, ...]:
    """The first file of boxes that each writes."""
    contents = []
    for write in writers:
        with tempfile.TemporaryDirectory() as scratch:
            path = write(Path(scratch), SCENES)
            kinds = ("annotations.xml", "000.json", "labels/000.txt")
            file = path if path.is_file() else next(path / kind for kind in kinds if (path / kind).is_file())
            contents.append(file.read_bytes())
    return tuple(contents)


YAMLS = (
    b"path: .\ntrain: images\nval: images\nnames: [disc, square]\n",
    b"train: ../images\nval: images\nnc: 2\nnames:\n  0: disc\n  1: square\n",
)


def _stream() -> Stream:
    weights = {"weight_ih": np.ones((12, 2), np.float32), "weight_hh": np.ones((12, 3), np.float32)}
    return Stream([Layer("lstm", weights)])


def _stream_files() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as scratch:
        _stream().save(Path(scratch) / "s")
        return {file.name: file.read_bytes() for file in (Path(scratch) / "s").iterdir()}


STREAM = _stream_files()


def _stream_beside(folder: Path) -> None:
    for name, content in STREAM.items():
        (folder / name).write_bytes(content)


def _hear(path: Path) -> None:
    for _ in listen(io.BytesIO(path.read_bytes()), 8000):
        pass


def _lines(path: Path) -> None:
    forecasts = ForecastStream(horizon=2)
    for line in incoming_lines(io.BytesIO(path.read_bytes())):
        for said in forecasts.push(line):
            json.dumps(said, allow_nan=False)


def _run_signed_stream(path: Path) -> None:
    config = json.loads(STREAM["config.json"]) | {"sha256": sha256(path)}
    (path.parent / "config.json").write_text(json.dumps(config), encoding="utf-8")
    _run_stream(path)


def _run_stream(path: Path) -> None:
    Stream.load(path.parent).step(np.ones(2, np.float32))


def _table(path: Path) -> None:
    table = read_series(path, missing="keep")
    table.times.written(table.times_after(2)["ds"])


READERS: dict[str, Reader] = {
    "tables": Reader("a.csv", tuple(text.encode() for text in TABLES[:6]), _table, TABLE_WORDS),
    "jsonl": Reader("a.jsonl", tuple(text.encode() for text in TABLES[6:8]), _table, TABLE_WORDS),
    "readings": Reader("a.csv", tuple(text.encode() for text in TABLES[:4]), read_readings, TABLE_WORDS),
    "encodings": Reader(
        "a.csv", (TABLES[5].encode("gb18030"), TABLES[1].encode("utf-16"), TABLES[1].encode("latin-1")), read_series,
        TABLE_WORDS,
    ),
    "labelled": Reader("a.csv", tuple(text.encode() for text in TEXTS[::2]), read_labelled, TABLE_WORDS),
    "labelled objects": Reader("a.jsonl", (TEXTS[1].encode(),), read_labelled, TABLE_WORDS),
    "objects": Reader("a.json", (TABLES[8].encode(),), read_series, TABLE_WORDS),
    "pairs": Reader("a.tsv", tuple(text.encode() for text in PAIRS), lambda path: read_parallel([path]), TABLE_WORDS),
    "texts": Reader("a.txt", (TABLES[5].encode("gb18030"), TEXTS[2].encode()), read_text, TABLE_WORDS),
    "lines": Reader("a.txt", STREAMED, _lines, TABLE_WORDS),
    "wav": Reader("a.wav", WAVS, lambda path: read_sound(path, 8000), (b"fmt ", b"data", b"RIFF", *NUMBERS)),
    "heard": Reader("a.wav", WAVS, _hear, (b"fmt ", b"data", b"RIFF", *NUMBERS)),
    "idx": Reader(IDX_NAME, (IDX,), lambda path: read_classes(path, 8), NUMBERS, _idx_labels),
    "coco": Reader(
        "a.json", (json.dumps(coco_of(SCENES)).encode(),), read_boxes,
        (*TABLE_WORDS, b'"bbox"', b'"images"', b'"image_id"', b'"file_name"', b'"iscrowd"', b'".."'), _scenes,
    ),
    "voc": Reader(
        "Annotations/000.xml", _voc_seeds(), lambda path: read_boxes(path.parent.parent),
        (b"<", b">", b"</object>", b"<object>", b"&amp;", b"&#0;", b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"&b;", b"nan",
         b"1e999", b"<!--", b"-->", b"<![CDATA["), _scenes,
    ),
    "labelme": Reader("000.json", _seeds_of(write_labelme), read_boxes, (b"points", b"shape_type", *NUMBERS), _scenes),
    "cvat": Reader(
        "annotations.xml", _seeds_of(write_cvat), read_boxes, (b"<box ", b"<polygon ", b"xtl=", *NUMBERS), _scenes
    ),
    "boxes": Reader(
        "boxes.csv", _seeds_of(write_tf, write_open_images, write_retinanet), read_boxes, TABLE_WORDS, _scenes
    ),
    "lines of boxes": Reader("annotations.txt", _seeds_of(write_keras), read_boxes, TABLE_WORDS, _scenes),
    "yolo": Reader(
        "labels/000.txt", _seeds_of(write_yolo), lambda path: read_boxes(path.parents[1]), NUMBERS, _yolo_scenes
    ),
    "yolo sets": Reader("data.yaml", YAMLS, read_splits, TABLE_WORDS, _yolo_scenes),
    "json": Reader("a.json", (json.dumps(coco_of(SCENES)).encode(),), read_json, TABLE_WORDS),
    "stream config": Reader("config.json", (STREAM["config.json"],), _run_stream, TABLE_WORDS, _stream_beside),
    "stream weights": Reader(
        next(name for name in STREAM if name.endswith(".safetensors")),
        tuple(content for name, content in STREAM.items() if name.endswith(".safetensors")), _run_signed_stream,
        (*NUMBERS, b'"F64"', b'"shape"', b"-1", b"9" * 20, b"[", b"]", b"{", b"}"), _stream_beside,
    ),
}  # fmt: skip


# -- changes -----------------------------------------------------------------------------------------------------------


def changed(reader: Reader, dice: random.Random) -> bytes:
    """One of a reader's files with one to eight changes."""
    data = bytearray(dice.choice(reader.seeds))
    for _ in range(dice.choice([1, 1, 1, 2, 3, 8])):
        at = dice.randrange(len(data) + 1)
        to = min(len(data), at + dice.choice([1, 1, 2, 4, 16, 200]))
        match dice.randrange(8):
            case 0:
                data[at : at + 1] = bytes([dice.randrange(256)])
            case 1:
                del data[at:to]
            case 2:
                data[at:at] = data[at:to] * dice.choice([1, 2, 50])
            case 3 | 4 if reader.words:
                data[at:at] = dice.choice(reader.words)
            case 5 if reader.words:
                word = dice.choice(reader.words)
                data[at : at + len(word)] = word
            case 6:
                other = dice.choice(reader.seeds)
                data[at:to] = other[at : at + dice.choice([1, 8, 100])]
            case _:
                if dice.random() < 0.3:
                    del data[at:]
                elif at < len(data):
                    data[at] ^= 1 << dice.randrange(8)
    return bytes(data[:LONGEST])


def tried(reader: Reader, contents: Iterator[bytes] | list[bytes]) -> Iterator[tuple[str, str, bytes]]:
    """Have files read: of each "read", "refused", or "wrong", with what was wrong, and the content."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        reader.beside(folder)
        path = folder / reader.name
        for content in contents:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            yield *_outcome(reader, path), content


def _outcome(reader: Reader, path: Path) -> tuple[str, str]:
    begun = time.process_time()
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("error")
            reader.read(path)
        outcome, message = "read", ""
    except InputError as error:
        outcome, message = "refused", str(error)
        if len(message) > 3000:
            return "wrong", f"a message of {len(message)} characters: {message[:300]}"
    except Exception as error:
        return "wrong", f"{type(error).__name__}: {error}"
    seconds = time.process_time() - begun
    return (outcome, message) if seconds < MOST_SECONDS else ("wrong", f"{seconds:.1f} s; {message}")


def main() -> int:
    """Change files and have them read; 1 where one was neither read nor refused."""
    parser = argparse.ArgumentParser()
    parser.add_argument("readers", nargs="*", metavar="READER", help=", ".join(READERS))
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--files", type=int, help="for each reader, in place of --minutes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--atheris", action="store_true")
    options = parser.parse_args()
    names = options.readers or list(READERS)
    if options.atheris:
        return _led(READERS[names[0]], options.minutes)
    dice = random.Random(options.seed)
    counts: dict[str, Counter[str]] = {name: Counter() for name in names}
    wrong: dict[str, bytes] = {}
    end, rounds = time.monotonic() + 60 * options.minutes, 0
    while rounds < options.files // 50 if options.files else time.monotonic() < end:
        rounds += 1
        for name in names:
            for outcome, message, content in tried(READERS[name], [changed(READERS[name], dice) for _ in range(50)]):
                counts[name][outcome] += 1
                if outcome == "wrong" and f"{name}: {message}"[:90] not in {told[:90] for told in wrong}:
                    wrong[f"{name}: {message}"] = content
                    _keep(name, content)
                    print(f"{name}: {message}"[:600], flush=True)
    for name, count in counts.items():
        print(f"{name:16} {count.total():8,} files: {count['read']:,} read, {count['refused']:,} refused")
    total = sum(count.total() for count in counts.values())
    print(f"{total:,} files, {sum(count['wrong'] for count in counts.values()):,} neither read nor refused")
    return 1 if wrong else 0


def _keep(name: str, content: bytes) -> None:
    folder = HERE.parent / "build" / "fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    suffix = Path(READERS[name].name).suffix
    (folder / f"{name.replace(' ', '-')}-{abs(hash(content)) % 10**8}{suffix}").write_bytes(content)


def _led(reader: Reader, minutes: float) -> int:
    """By atheris, which takes those changes further by which more of memfold's code has run."""
    import atheris

    modules = [(name, m) for name, m in sys.modules.items() if name.startswith(("memfold.data", "memfold.stream"))]
    for name, module in modules:  # its own way, at the import, does not know an editable installation
        for value in list(vars(module).values()):
            if isinstance(value, FunctionType) and value.__module__ == name:
                atheris.instrument_func(value)
    scratch = tempfile.mkdtemp()
    seeds = Path(scratch) / "seeds"
    seeds.mkdir()
    for number, seed in enumerate(reader.seeds):
        (seeds / str(number)).write_bytes(seed)
    reader.beside(Path(scratch))

    def one(content: bytes) -> None:
        path = Path(scratch) / reader.name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        outcome, message = _outcome(reader, path)
        if outcome == "wrong":
            raise AssertionError(message)

    atheris.Setup([sys.argv[0], f"-max_total_time={int(60 * minutes)}", f"-max_len={LONGEST}", str(seeds)], one)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Damaged and malicious model folders: edits of the kept ones in tests/formats/format2, and what becomes of each.

    python tests/formats/hostile.py                    every kept edit of hostile.json
    python tests/formats/hostile.py --random 2000      that many drawn ones, by --seed
    python tests/formats/hostile.py --systematic       each entry taken away or made null, each file gone

An edit is an object of JSON: the model, what is done and to what. A folder is judged by all that reads one: a task's
answers, those of a pipeline, ``memfold info`` and a plan. It must be refused in one line, or answer; of a kept edit
nothing but the same as the undamaged one.
"""

import argparse
import json
import os
import random
import resource
import shutil
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from command_line import run_here  # noqa: E402
from formats.kept import FOLDER, differences, pipelines_answer, tasks_answer  # noqa: E402
from memfold.errors import InputError  # noqa: E402
from memfold.formats.directory import CONFIG, WEIGHTS, fingerprint  # noqa: E402
from memfold.system import most_memory  # noqa: E402
from memfold.tasks.planning import read_plan  # noqa: E402

__all__ = ["KEPT", "LARGEST", "LONGEST", "Verdict", "drawn", "judged", "made"]

KEPT = HERE / "hostile.json"
LONGEST, LARGEST = 2.0, 500e6  # seconds of the processor and bytes that a folder may take
MARK = "\ue000MARK\ue000"

Edit = dict[str, Any]

# What a value of a configuration becomes.
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3.5, -0.5, 1e-300, 1e30, 1e31, 2**31, 2**63, -(2**63), 10**6, 10**12, "", "a",
    "\u0000", "\ud800", "../../etc/passwd", "[/x]\u001b[31m", "9" * 400, [], {}, [None], [[]], {"a": 1}, [1] * 50,
    ["a"],
]  # fmt: skip
# Texts in the place of one that no value of JSON's writers has: before, after, how often.
LITERALS: list[tuple[str, str, int]] = [
    ("NaN", "", 1), ("Infinity", "", 1), ("-Infinity", "", 1), ("1e999", "", 1), ("9", "", 5000), ("[", "]", 100),
    ("[", "]", 100_000), ('{"a":', "}", 100_000), ("[", "", 100_000), ("x", "", 1), ('"\\ud800"', "", 1), ("01", "", 1),
]  # fmt: skip
HEADERS = [
    "", "{", "[]", "null", "{}", '{"a":1}', '{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4]}}',
    '{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', '{"a":{"dtype":"Q7","shape":[1],"data_offsets":[0,4]}}',
    '{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}',
    '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}',
    '{"a":{"dtype":"F32","shape":[4611686018427387905,4],"data_offsets":[0,4]}}', "[" * 5000,
]  # fmt: skip
DTYPES = {"F64": 8, "F16": 2, "BF16": 2, "I32": 4, "I64": 8, "U8": 1, "BOOL": 1}


def made(edit: Edit, out: Path) -> Path:
    """A kept folder with this edit, at ``out``; the model's is ``out/model``."""
    shutil.copytree(FOLDER / edit["model"], out)
    model = out / "model"
    EDITS[edit["do"]](model, edit)
    if edit.get("signed"):  # the configuration says what the files are now
        config = json.loads((model / CONFIG).read_bytes())
        config["files"] = {name: fingerprint(model / name) for name in config["files"] if (model / name).is_file()}
        (model / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    return out


def _config(change: Any) -> Any:
    def apply(model: Path, edit: Edit) -> None:
        config = json.loads((model / CONFIG).read_bytes())
        text = change(config, edit)
        (model / CONFIG).write_text(json.dumps(config) if text is None else text, encoding="utf-8")

    return apply


def _inner(config: Any, path: Sequence[Any]) -> Any:
    for step in path:
        config = config[step]
    return config


def _set(config: Any, edit: Edit) -> None:
    _inner(config, edit["path"][:-1])[edit["path"][-1]] = edit["value"]


def _remove(config: Any, edit: Edit) -> None:
    del _inner(config, edit["path"][:-1])[edit["path"][-1]]


def _add(config: Any, edit: Edit) -> None:
    inner = _inner(config, edit["path"])
    if isinstance(inner, list):
        inner.append(edit["value"])
    else:
        inner["unknown"] = edit["value"]


def _literal(config: Any, edit: Edit) -> str:
    _inner(config, edit["path"][:-1])[edit["path"][-1]] = MARK
    text = edit["before"] * edit["times"] + edit["after"] * edit["times"]
    return json.dumps(config, ensure_ascii=False).replace(f'"{MARK}"', text)


def _double(config: Any, edit: Edit) -> str:
    *outer, name = edit["path"]
    inner = _inner(config, outer)
    inner[MARK] = inner[name]
    return json.dumps(config, ensure_ascii=False).replace(MARK, name)


def _overwrite(model: Path, edit: Edit) -> None:
    data = bytearray((model / edit["file"]).read_bytes())
    new = bytes.fromhex(edit["bytes"])
    data[edit["at"] : edit["at"] + len(new)] = new
    (model / edit["file"]).write_bytes(data)


def _cut(model: Path, edit: Edit) -> None:
    (model / edit["file"]).write_bytes((model / edit["file"]).read_bytes()[: edit["to"]])


def _grow(model: Path, edit: Edit) -> None:
    with (model / edit["file"]).open("ab") as file:
        file.write(b"\0" * edit["by"])


def _without(model: Path, edit: Edit) -> None:
    (model / edit["file"]).unlink()


def _link(model: Path, edit: Edit) -> None:
    (model / edit["file"]).unlink()
    (model / edit["file"]).symlink_to(edit["to"])


def _folder(model: Path, edit: Edit) -> None:
    (model / edit["file"]).unlink()
    (model / edit["file"]).mkdir()


def _parsed(data: bytes) -> tuple[dict[str, Any], bytes]:
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def _stored(header: str, body: bytes, length: int | None = None) -> bytes:
    text = header.encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def _header(model: Path, edit: Edit) -> None:
    text, body = edit["text"], (model / WEIGHTS).read_bytes()
    (model / WEIGHTS).write_bytes(_stored(text, body[:4096], edit.get("length")))


def _tensor(model: Path, edit: Edit) -> None:
    """Another type, shape, name, place or content of one tensor; the others are where they were."""
    header, body = _parsed((model / WEIGHTS).read_bytes())
    name = edit["tensor"]
    entry = header[name]
    first, last = entry["data_offsets"]
    if "fill" in edit:
        value = struct.pack("<f", float(edit["fill"]))
        body = body[:first] + (value * ((last - first) // 4)) + body[last:]
    elif "rename" in edit:
        header[edit["rename"]] = header.pop(name)
    elif "shape" in edit:
        entry["shape"] = edit["shape"]
    elif "offsets" in edit:
        entry["data_offsets"] = edit["offsets"]
    else:
        entry["dtype"] = edit["dtype"]
        if edit.get("fits"):  # the shape as well, so that the file is whole
            entry["shape"] = [(last - first) // DTYPES[edit["dtype"]]]
    (model / WEIGHTS).write_bytes(_stored(json.dumps(header), body))


EDITS: dict[str, Any] = {
    "set": _config(_set), "remove": _config(_remove), "add": _config(_add), "literal": _config(_literal),
    "double": _config(_double), "overwrite": _overwrite, "cut": _cut, "grow": _grow, "without": _without,
    "link": _link, "folder": _folder, "header": _header, "tensor": _tensor,
}  # fmt: skip


def drawn(seed: int, count: int) -> Iterator[Edit]:
    """Random edits, of every model as many."""
    dice = random.Random(seed)
    models = sorted(folder.name for folder in FOLDER.iterdir())
    for number in range(count):
        name = models[number % len(models)]
        yield {"model": name, **_drawn(dice, FOLDER / name / "model")}


def systematic() -> Iterator[Edit]:
    """Of every model: each entry of the configuration's upper levels taken away and made null, and each file gone."""
    for folder in sorted(FOLDER.iterdir()):
        config = json.loads((folder / "model" / CONFIG).read_bytes())
        outer = [[name] for name in config]
        inner = [[name, key] for name, entry in config.items() if isinstance(entry, dict) for key in entry]
        for path in outer + inner:
            yield {"model": folder.name, "do": "remove", "path": path}
            yield {"model": folder.name, "do": "set", "path": path, "value": None}
        for file in (CONFIG, *config["files"]):
            yield {"model": folder.name, "do": "without", "file": file}
            yield {"model": folder.name, "do": "link", "file": file, "to": "/dev/zero"}


def _drawn(dice: random.Random, model: Path) -> Edit:
    config = json.loads((model / CONFIG).read_bytes())
    file = dice.choice(sorted(set(config["files"]) | {CONFIG, WEIGHTS}))
    do = dice.choices(list(EDITS), [20, 6, 6, 6, 3, 6, 3, 2, 1, 1, 1, 3, 10])[0]
    if do in ("set", "remove", "literal", "double", "add"):
        return {"do": do, **_in_config(dice, do, config)}
    signed = {"signed": True} if file != CONFIG and dice.random() < 0.8 else {}
    size = (model / file).stat().st_size
    match do:
        case "overwrite":
            at = dice.randrange(min(size, 400) if dice.random() < 0.5 else size)
            return {"do": do, "file": file, "at": at, "bytes": dice.randbytes(dice.choice([1, 1, 4])).hex(), **signed}
        case "cut":
            return {"do": do, "file": file, "to": dice.choice([0, 1, 7, 8, 9, size // 2, size - 1]), **signed}
        case "grow":
            return {"do": do, "file": file, "by": dice.choice([1, 4, 5000]), **signed}
        case "without" | "folder":
            return {"do": do, "file": file}
        case "link":
            return {"do": do, "file": file, "to": dice.choice(["nowhere", file, "/dev/zero", "/dev/null", ".."])}
        case "header":
            length = dice.choice([None, None, 0, 1, 2**31, 2**63, 2**64 - 1])
            more = {} if length is None else {"length": length}
            return {"do": do, "text": dice.choice(HEADERS), **more, "signed": True}
    header, body = _parsed((model / WEIGHTS).read_bytes())
    tensor = dice.choice(sorted(header.keys() - {"__metadata__"}))
    shape = header[tensor]["shape"]
    change: Edit = dice.choice(
        [
            {"fill": dice.choice(["nan", "inf", "-inf"])},
            {"rename": dice.choice(["", "a", "__metadata__", tensor * 50, "\u0000"])},
            {"shape": dice.choice([[], [*shape[::-1], 1], [*shape, 1], [0], [2**40], [2**63, 2], [-1], shape[:1]])},
            {"offsets": dice.choice([[0, 0], [0, 2**40], [4, 0], [0, len(body)], [2**64 - 4, 2**64 - 1]])},
            {"dtype": dice.choice([*DTYPES, "F8_E4M3"])},
            {"dtype": dice.choice(list(DTYPES)), "fits": True},
        ]
    )
    return {"do": "tensor", "tensor": tensor, **change, "signed": True}


def _in_config(dice: random.Random, do: str, config: Any) -> Edit:
    """A place in a configuration, and what is put there."""
    path: list[Any] = []
    inner = config
    while isinstance(inner, dict | list) and inner and (not path or dice.random() < 0.9):
        path.append(dice.choice(sorted(inner)) if isinstance(inner, dict) else dice.randrange(len(inner)))
        inner = inner[path[-1]]
    while (
        do in ("add", "double")
        and path
        and not isinstance(_inner(config, path[:-1] if do == "double" else path), dict | list)
    ):
        path.pop()
    if do == "double":
        while not isinstance(path[-1], str):
            path.pop()
        return {"path": path}
    if do == "remove":
        return {"path": path}
    if do == "literal":
        before, after, times = dice.choice(LITERALS)
        return {"path": path, "before": before, "after": after, "times": times}
    return {"path": path, "value": dice.choice(VALUES)}


@dataclass(frozen=True)
class Verdict:
    """What became of a folder.

    Attributes:
        outcome: "refused", "same", "other" where it is a model that answers otherwise, or "wrong".
        message: the refusal, or what was wrong.
        seconds: of the processor.
    """

    outcome: str
    message: str
    seconds: float


def judged(edit: Edit, answers: Mapping[str, Any]) -> Verdict:
    """Make the folder of an edit and have it read; ``answers`` are those of the undamaged one."""
    before, begun = most_memory(), time.process_time()
    with tempfile.TemporaryDirectory() as scratch:
        folder = made(edit, Path(scratch) / "kept")
        with chdir(folder):
            try:
                outcomes = [_outcome(way, answers) for way in (tasks_answer, pipelines_answer, _info, _plan)]
            except Exception as error:
                outcomes = [("wrong", f"{type(error).__name__}: {error}")]
    seconds = time.process_time() - begun
    grown = most_memory() - before
    outcome, message = min(outcomes, key=lambda pair: ("wrong", "refused", "other", "same").index(pair[0]))
    if seconds > LONGEST or grown > LARGEST:
        outcome, message = "wrong", f"{seconds:.1f} s, {grown / 1e6:.0f} MB; {message}"
    return Verdict(outcome, message, seconds)


def _outcome(way: Any, answers: Mapping[str, Any]) -> tuple[str, str]:
    try:
        found = way(Path())
    except InputError as error:
        text = str(error)
        return ("refused", text) if "\n" not in text and len(text) < 2000 else ("wrong", f"no line: {text[:3000]!r}")
    kept = answers.get(way.__name__)
    if found is None or not differences(found, kept):
        return "same", ""
    return "other", f"{way.__name__}: {found!r}"[:300]


def _info(folder: Path) -> None:
    done = run_here("info", str(folder / "model"))
    if done.returncode == 2 and done.stderr.count("\n") == 1:
        raise InputError(done.stderr.strip())
    assert done.returncode == 0, done


def _plan(folder: Path) -> None:
    read_plan(folder / "model")


def answers_of(name: str) -> dict[str, Any]:
    """What the undamaged folder of a task answers."""
    with chdir(FOLDER / name):
        return {way.__name__: way(Path()) for way in (tasks_answer, pipelines_answer)}


def main() -> int:
    """Judge edits; 1 where one is wrong, or a kept one is another model."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--random", type=int, default=0, help="so many drawn edits in place of the kept ones")
    parser.add_argument("--systematic", action="store_true", help="every entry taken away, made null, every file gone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, help="file for the edits that were refused or answered the same")
    options = parser.parse_args()
    kept = not options.random and not options.systematic
    edits = json.loads(KEPT.read_bytes()) if kept else list(drawn(options.seed, options.random))
    edits += systematic() if options.systematic else ()
    answers = {name: answers_of(name) for name in sorted({edit["model"] for edit in edits})}
    # What is asked for and never touched counts as well.
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (mapped + int(LARGEST), resource.RLIM_INFINITY))
    counts: Counter[str] = Counter()
    good, longest = [], 0.0
    for edit in edits:
        verdict = judged(edit, answers[edit["model"]])
        counts[verdict.outcome] += 1
        longest = max(longest, verdict.seconds)
        if verdict.outcome in ("refused", "same"):
            good.append(edit)
        if verdict.outcome == "wrong" or (verdict.outcome == "other" and kept):
            print(f"{verdict.outcome}: {json.dumps(edit)[:400]}\n    {verdict.message[:600]}", flush=True)
    if options.write:
        options.write.write_text("[\n" + ",\n".join(map(json.dumps, good)) + "\n]\n", encoding="utf-8")
    print(
        f"{len(edits)} folders: {counts['refused']} refused in one line, {counts['same']} answered the same, "
        f"{counts['other']} are other models, {counts['wrong']} wrong; at most {longest:.2f} s"
    )
    return int(counts["wrong"] > 0 or (counts["other"] > 0 and kept))


if __name__ == "__main__":
    sys.exit(main())

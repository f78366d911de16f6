"""Wrote the folders in tests/formats/format2: a small model of every task as memfold 0.2.0 saves it, with an input and
its answers. ``python tests/formats/make_format2.py``, once; later versions of memfold read these, and no one writes
them anew. A later format gets a folder and a script of its own.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from formats.kept import BEGINNING, FOLDER, GIVEN, answers_in  # noqa: E402
from tasks.small import SMALL, Small  # noqa: E402

SMALLER: dict[str, dict[str, Any]] = {
    "anomaly": {"pretrained": False},  # whose answers would change with the bundled weights
    "forecast": {"members": 1, "pretrained": False},
    "classify": {"channels": 4},
    "detect": {"channels": 4},
    "faces": {"channels": 4},
}


def write_input(small: Small, out: Path) -> None:
    """Write a file that the model answers to into its folder."""
    match small.name:
        case "forecast":
            shutil.copy(small.data[0], out / f"{GIVEN}.csv")
        case "anomaly":
            rows = Path(small.data[0]).read_text(encoding="utf-8").splitlines(keepends=True)
            (out / f"{GIVEN}.csv").write_text("".join(rows[:41]), encoding="utf-8")
        case "generate":
            (out / f"{GIVEN}.txt").write_text(BEGINNING, encoding="utf-8")
        case "sentiment" | "translate":
            (out / f"{GIVEN}.txt").write_text("".join(f"{text}\n" for text in small.X[:2]), encoding="utf-8")
        case "command" | "transcribe" | "detect":
            shutil.copy(small.X[-1], out / f"{GIVEN}{Path(small.X[-1]).suffix}")
        case _:  # of images
            shutil.copy(max(Path(small.data[0]).rglob("*.png")), out / f"{GIVEN}.png")


def main() -> None:
    """Write every folder anew."""
    torch.set_num_threads(1)
    for name, make in SMALL.items():
        out = FOLDER / name
        shutil.rmtree(out, ignore_errors=True)
        with tempfile.TemporaryDirectory() as folder:
            small = make(Path(folder))
            small.parameters |= SMALLER.get(name, {})
            out.mkdir(parents=True)
            small.fitted().save(out / "model")
            write_input(small, out)
        os.chdir(out)
        text = json.dumps(answers_in(Path()), ensure_ascii=False, default=lambda a: a.tolist())
        (out / "answers.json").write_text(text + "\n", encoding="utf-8")
        print(f"{name}: {sum(file.stat().st_size for file in out.rglob('*') if file.is_file())} bytes")


if __name__ == "__main__":
    main()

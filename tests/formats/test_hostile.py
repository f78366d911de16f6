"""Damaged and malicious model folders are refused in one line, or answer as the undamaged ones."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from formats.hostile import KEPT, answers_of, judged

EDITS = json.loads(KEPT.read_bytes())
answers = cache(answers_of)


def test_the_kept_edits_are_many_and_of_every_task_and_file() -> None:
    assert len(EDITS) >= 200
    assert len({json.dumps(edit, sort_keys=True) for edit in EDITS}) == len(EDITS)
    assert len({edit["model"] for edit in EDITS}) == 10
    files = {edit.get("file", "config.json") for edit in EDITS}
    assert files == {"config.json", "model.safetensors", "source.model", "target.model", "texts.txt"}


# A few of each kind here; all of them, and many that are drawn, in the test below.
@pytest.mark.parametrize("edit", EDITS[:: len(EDITS) // 20], ids=lambda edit: f"{edit['model']}-{edit['do']}")
def test_a_hostile_folder_is_refused_or_answers_the_same(edit: dict[str, Any]) -> None:
    verdict = judged(edit, answers(edit["model"]))
    assert verdict.outcome in ("refused", "same"), verdict.message


def test_the_judge_sees_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    edit = {"model": "sentiment", "do": "set", "path": ["parameters", "seed"], "value": 1}
    kept = answers("sentiment")
    assert judged(edit, kept).outcome == "same"
    assert judged(edit, {**kept, "tasks_answer": {}}).outcome == "other"
    monkeypatch.setattr("formats.hostile.LONGEST", 0)
    assert judged(edit, kept).outcome == "wrong"


@pytest.mark.release
@pytest.mark.parametrize("chosen", [[], ["--systematic"], ["--random", "2000", "--seed", "3"]], ids=str)
def test_every_hostile_folder(chosen: list[str]) -> None:
    script = Path(__file__).with_name("hostile.py")
    done = subprocess.run([sys.executable, script, *chosen], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    print(done.stdout)

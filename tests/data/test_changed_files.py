"""Files changed at random are read, or refused as InputError; tests/fuzz_readers.py tries as many as wanted."""

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import fuzz_readers
from fuzz_readers import READERS, Reader, changed, tried


@pytest.mark.parametrize("name", READERS)
def test_a_reader_reads_its_files_and_refuses_what_it_cannot_read_of_changed_ones(name: str) -> None:
    reader = READERS[name]
    assert {outcome for outcome, _, _ in tried(reader, list(reader.seeds))} == {"read"}
    dice = random.Random(3)
    wrong = [found for found in tried(reader, [changed(reader, dice) for _ in range(5)]) if found[0] == "wrong"]
    assert not wrong


def test_the_judge_sees_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(path: Path) -> None:
        raise {b"a": KeyError, b"b": UserWarning}[path.read_bytes()]("b")

    outcomes = list(tried(Reader("a", (b"a",), fails), [b"a", b"b"]))
    assert [outcome for outcome, _, _ in outcomes] == ["wrong", "wrong"]
    monkeypatch.setattr(fuzz_readers, "MOST_SECONDS", 0.0)
    assert Counter(outcome for outcome, _, _ in tried(READERS["json"], [b"{}"])) == {"wrong": 1}


@pytest.mark.release
def test_many_changed_files() -> None:
    script = Path(fuzz_readers.__file__)
    done = subprocess.run(
        [sys.executable, script, "--files", "2000", "--seed", "11"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    print(done.stdout)

"""Random calls are refused or right; tests/fuzz_calls.py makes as many as wanted."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import fuzz_calls
from fuzz_calls import KINDS, tried
from memfold import engine


@pytest.mark.parametrize("kind", KINDS)
def test_a_random_call_is_refused_or_right(kind: str) -> None:
    outcomes = [tried(kind, seed) for seed in range(50)]
    assert [message for outcome, message in outcomes if outcome == "wrong"] == []
    counts = Counter(outcome for outcome, _ in outcomes)
    assert counts["answered" if kind.endswith("right") else "refused"] > 20


@pytest.mark.release
def test_the_judge_sees_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A state that is read in another order, and lengths that are not looked at."""
    checked = engine.checked_state
    with monkeypatch.context() as patch:
        patch.setattr(engine, "checked_state", lambda *given: [np.asfortranarray(part) for part in checked(*given)])
        assert "wrong" in {tried("fold_right", seed)[0] for seed in range(40)}
    with monkeypatch.context() as patch:
        patch.setattr(engine, "checked_lengths", lambda given, steps, batch: np.resize(np.clip(given, 0, steps), batch))
        assert "wrong" in {tried("fold_wrong", seed)[0] for seed in range(400)}


@pytest.mark.release
def test_many_random_calls() -> None:
    arguments = ["--calls", "5000", "--seed", "7"]
    done = subprocess.run(
        [sys.executable, Path(fuzz_calls.__file__), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    print(done.stdout)

"""How the bundled forecaster is trained: series that are numbers, examples that hide what they ask for, resuming."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from memfold.pretrained import training
from memfold.pretrained.network import InstantNetwork
from memfold.pretrained.synthetic import series


def test_series_are_numbers_and_the_same_for_a_seed() -> None:
    one, other = (series(np.random.default_rng(3), 64, 256) for _ in range(2))
    assert np.isfinite(one.values).all()
    assert np.array_equal(one.values, other.values)
    assert one.seasons.min() >= 1
    assert (one.values.std(1) > 0).mean() > 0.95


def test_the_future_is_not_among_what_is_read() -> None:
    rng = np.random.default_rng(0)
    made = series(rng, 16, 256)
    for _ in range(5):
        seed = int(rng.integers(1 << 30))
        first = training.examples(np.random.default_rng(seed), made)
        changed = made.values.copy()
        z, seen = first.inputs[0], first.inputs[1].bool()
        assert (z[~seen] == 0).all()
        ahead = int((~seen).long().flip(1).cumprod(1).sum(1).min())
        assert ahead >= 16
        changed[:, -ahead:] += 5
        flipped = training.examples(np.random.default_rng(seed), replace(made, values=changed))
        same = (flipped.inputs[0] == first.inputs[0]).all(1)
        assert same.float().mean() > 0.4  # all that were not turned round in time, three of four


def test_what_was_never_begun_has_no_weight() -> None:
    made = series(np.random.default_rng(0), 16, 256)
    example = training.examples(np.random.default_rng(1), made)
    assert torch.isfinite(example.weight).all()
    assert (example.weight >= 0).all()
    assert example.weight.sum() > 0


@pytest.mark.slow
def test_a_training_goes_on_and_writes_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"HIDDEN_SIZE": 8, "POOL": 512, "DRAWN": 64, "BATCHES": {256: 4}, "OFTEN": (1.0,)}.items():
        monkeypatch.setattr(training, name, value)
    monkeypatch.setattr(training, "REPORT", 2)
    monkeypatch.setattr(training, "STEPS", 256)
    training.main(tmp_path, steps=4, stop_after=0.0)
    assert not (tmp_path / training.FILE).exists()
    training.main(tmp_path, steps=4)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4]
    weights = load_file(tmp_path / training.FILE)
    assert weights.keys() == InstantNetwork(8, training.NUM_LAYERS).state_dict().keys()
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float16)}

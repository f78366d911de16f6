import json
import runpy
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from memfold import bench
from memfold.bench import timing
from memfold.bench.peers import _check_equal_work, _peers, _version

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    """Of `layers` on one tiny point, without the pauses that let other threads fall asleep."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "GRID", [(1, 4, 8)])
        patch.setattr(timing, "fma_peak", lambda threads: 1e9)
        patch.setattr(time, "sleep", lambda seconds: None)
        return bench.layers(["rnn", "peephole"], rounds=1)


def written() -> tuple[dict[str, Any], dict[str, Any]]:
    layers, stream = (json.loads((BENCHMARKS / f"{name}.json").read_text()) for name in ("layers", "stream"))
    return layers, stream


def test_layers_measures_every_peer_that_is_installed(results: dict[str, Any]) -> None:
    rnn, peephole = results["points"]
    others = [name for name in ("jax", "keras") if _version(name)]
    for peer in ("torch", "onnxruntime", *others):
        assert rnn[f"{peer}_ms"] == pytest.approx(rnn["memfold_ms"] * rnn[f"ratio_{peer}"])
    assert rnn["ratio"] == min(rnn["ratio_torch"], rnn["ratio_onnxruntime"])
    assert peephole["ratio"] == peephole["ratio_onnxruntime"]
    assert "torch_ms" not in peephole
    assert results["ratio"] == {"rnn": pytest.approx(rnn["ratio"]), "peephole": pytest.approx(peephole["ratio"])}
    for peer in ("jax", "keras"):
        assert (f"ratio_{peer}" in results) == (peer in others)


def test_turns_are_measured_together_and_apart(results: dict[str, Any]) -> None:
    assert set(results["turns"]) == {"product_us", "product_alone_us", "memfold_us", "memfold_alone_us"}
    assert all(value > 0 for value in results["turns"].values())


@pytest.mark.parametrize("cell", timing.GATES)
def test_every_peer_computes_what_memfold_does(cell: str) -> None:
    layer, x = timing._layer(cell, 8), torch.randn(5, 3, 8)
    with torch.no_grad():
        own = layer(x)[0].numpy()
    _check_equal_work(_peers(cell, layer, x), own)


def test_a_peer_that_computes_something_else_is_not_timed() -> None:
    layer, x = timing._layer("lstm", 8), torch.randn(5, 3, 8)
    with torch.no_grad():
        own = layer(x)[0].numpy()
    swapped = timing._layer("lstm", 8)
    with torch.no_grad():
        swapped.bias_ih_l0.copy_(swapped.bias_ih_l0.flip(0))
    with pytest.raises(RuntimeError, match="torch computes something else than memfold: outputs differ by"):
        _check_equal_work(_peers("lstm", swapped, x), own)
    with pytest.raises(RuntimeError, match="nan"):
        _check_equal_work({"torch": lambda: np.full_like(own, np.nan)}, own)
    with pytest.raises(RuntimeError, match=r"torch returns \(5, 3, 8\) where memfold returns \(4, 3, 8\)"):
        _check_equal_work({"torch": lambda: own}, own[:4])


def test_the_table_has_columns_for_the_peers_that_were_measured() -> None:
    report = runpy.run_path(str(BENCHMARKS / "table.py"))["report"]
    layers, stream = written()
    for peer in ("jax", "keras"):
        layers.pop(f"ratio_{peer}", None)
    layers.pop("turns", None)
    assert "| ONNX Runtime ms | ratio |" in report(layers, stream)
    assert "JAX" not in report(layers, stream)
    assert "In turns" not in report(layers, stream)
    layers["ratio_jax"], layers["machine"]["versions"]["jax"] = {"lstm": 2.5}, "1.2.3"
    assert "| ONNX Runtime ms | JAX ms | ratio |" in report(layers, stream)
    assert "Ratio to JAX 2.5." in report(layers, stream)
    assert "JAX 1.2.3." in report(layers, stream)


def test_the_table_tells_of_turns(results: dict[str, Any]) -> None:
    report = runpy.run_path(str(BENCHMARKS / "table.py"))["report"]
    layers, stream = written()
    assert "called one after the other" in report(layers | {"turns": results["turns"]}, stream)

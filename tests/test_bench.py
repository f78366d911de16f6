import importlib
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


@pytest.fixture(scope="module")
def trained() -> dict[str, Any]:
    """Of `train` on one tiny point, with everything else tiny too and nothing compiled."""
    module = importlib.import_module("memfold.bench.train")  # memfold.bench.train is the function
    tiny = {"GRID": [(2, 4, 8)], "COMPILED": [], "RAGGED": (3, 6, 4), "MEMORY": (2, 4, 8), "WINDOW": 4, "HIDDEN": 8}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in tiny.items():
            patch.setattr(module, name, value)
        patch.setattr(timing, "fma_peak", lambda threads: 1e9)
        patch.setattr(time, "sleep", lambda seconds: None)
        return bench.train(rounds=1)


def test_train_measures_every_peer_of_every_cell(trained: dict[str, Any]) -> None:
    jax = ["jax"] * bool(_version("jax"))
    assert [point["cell"] for point in trained["points"]] == list(timing.GATES)
    for point in trained["points"]:
        yardstick = "eager" if point["cell"] == "peephole" else "torch"
        for peer in (yardstick, *jax):
            assert point[f"{peer}_ms"] == pytest.approx(point["memfold_ms"] * point[f"ratio_{peer}"])
            assert trained[f"ratio_{peer}"][point["cell"]] == pytest.approx(point[f"ratio_{peer}"])
        assert point["ratio"] == point[f"ratio_{yardstick}"]
        operations = 6 * timing.GATES[point["cell"]] * 8 * 16 * 2 * 4
        assert point["peak_percent"] == pytest.approx(100 * operations / (point["memfold_ms"] * 1e-3) / 1e9)


def test_train_compares_ragged_batches_a_whole_step_and_memory(trained: dict[str, Any]) -> None:
    assert all(value > 0 for value in trained["ragged"].values())
    step = trained["step"]
    assert step["ratio"] == pytest.approx(step["torch_ms"] / step["memfold_ms"])
    assert step["torch_tokens_per_second"] == pytest.approx(32 * 4 / step["torch_ms"] * 1e3)
    assert set(trained["memory"]) == {"lstm", "gru", "rnn"}
    for kept in trained["memory"].values():
        assert 0 <= kept["memfold_bytes"] <= kept["torch_bytes"]


def test_a_peer_with_another_gradient_is_not_timed() -> None:
    module = importlib.import_module("memfold.bench.train")
    layer, (x, cotangent) = timing._layer("lstm", 8), torch.randn(2, 5, 3, 8)
    own = module._derived(layer, x, cotangent)()
    other = module._derived(layer, x, 1.1 * cotangent)
    with pytest.raises(RuntimeError, match="other computes something else than memfold: gradients of x differ by"):
        module._check_equal_gradients({"other": other}, own)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own, while it compiles
@pytest.mark.slow
def test_the_compiled_loop_computes_what_memfold_does(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("memfold.bench.train")
    monkeypatch.setattr(module, "COMPILED", [(3, 5, 8)])
    layer, (x, cotangent) = timing._layer("peephole", 8), torch.randn(2, 5, 3, 8)
    peers = module._peers("peephole", layer, x, cotangent)
    assert "compiled" in peers
    module._check_equal_gradients(peers, module._derived(layer, x, cotangent)())


def test_the_table_has_a_section_of_training_where_it_was_measured(trained: dict[str, Any]) -> None:
    report = runpy.run_path(str(BENCHMARKS / "table.py"))["report"]
    layers, stream = written()
    assert "## Training" not in report(layers, stream)
    text = report(layers, stream, trained)
    assert text.startswith(report(layers, stream))
    assert f"### Peephole LSTM: {trained['ratio']['peephole']:.2f} times eager loop (geometric mean)" in text
    assert "| RNN (tanh) |" in text.split("What autograd keeps")[1]


def test_the_script_on_shakespeare_trains_both_models_for_the_given_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = runpy.run_path(str(BENCHMARKS / "shakespeare.py"))
    monkeypatch.setitem(script["CharacterModel"].__init__.__globals__, "HIDDEN", 8)
    (tmp_path / "text.txt").write_text("To be, or not to be: that is the question.\n" * 300)
    script["main"](minutes=0.005, data=tmp_path / "text.txt")
    printed = capsys.readouterr().out
    for what in ("torch.nn", "memfold.nn", "steps", "tokens per second", "training loss", "carried", "windows of 256"):
        assert what in printed

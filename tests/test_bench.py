import importlib
import json
import runpy
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from command_line import run_here
from memfold import bench
from memfold.bench import series, timing
from memfold.bench.peers import check_equal_work, peer_calls, version_of
from memfold.data.datasets import SeriesSplit
from memfold.data.tables import SeriesTable
from memfold.errors import InputError
from memfold.nn import GRU, LSTM
from memfold.tasks import Forecaster
from memfold.tasks.registry import TASKS

busy = importlib.import_module("memfold.bench.busy")  # its function has the same name
steps = importlib.import_module("memfold.bench.tasks")
BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
SCORES = ["smape", "mase", "owa", "crps", "coverage80"]


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
    others = [name for name in ("jax", "keras") if version_of(name)]
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
    layer, x = timing.layer_of(cell, 8), torch.randn(5, 3, 8)
    with torch.no_grad():
        own = layer(x)[0].numpy()
    check_equal_work(peer_calls(cell, layer, x), own)


def test_a_peer_that_computes_something_else_is_not_timed() -> None:
    layer, x = timing.layer_of("lstm", 8), torch.randn(5, 3, 8)
    with torch.no_grad():
        own = layer(x)[0].numpy()
    swapped = timing.layer_of("lstm", 8)
    with torch.no_grad():
        swapped.bias_ih_l0.copy_(swapped.bias_ih_l0.flip(0))
    with pytest.raises(RuntimeError, match="torch computes something else than memfold: outputs differ by"):
        check_equal_work(peer_calls("lstm", swapped, x), own)
    with pytest.raises(RuntimeError, match="nan"):
        check_equal_work({"torch": lambda: np.full_like(own, np.nan)}, own)
    with pytest.raises(RuntimeError, match=r"torch returns \(5, 3, 8\) where memfold returns \(4, 3, 8\)"):
        check_equal_work({"torch": lambda: own}, own[:4])


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
def halved() -> dict[str, Any]:
    """Of `bfloat16` on one tiny point."""
    module = importlib.import_module("memfold.bench.bfloat16")  # memfold.bench.bfloat16 is the function
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "GRID", [(2, 4, 8)])
        for place in (module, timing):
            patch.setattr(place, "fma_peak", lambda threads, bfloat16=False: 2e9 if bfloat16 else 1e9)
        patch.setattr(time, "sleep", lambda seconds: None)
        return bench.bfloat16(["gru", "peephole"], rounds=1)


def test_bfloat16_is_beside_torch_in_both_types(halved: dict[str, Any]) -> None:
    names = [(point["cell"], point["mode"]) for point in halved["points"]]
    assert names == [("gru", "infer"), ("gru", "train"), ("peephole", "infer"), ("peephole", "train")]
    peers = [("torch", "torch_bfloat16")] * 2 + [("onnxruntime",) if version_of("onnxruntime") else (), ("eager",)]
    for point, own in zip(halved["points"], peers, strict=True):
        if own:
            assert point["ratio"] == pytest.approx(min(point[f"{peer}_ms"] for peer in own) / point["memfold_ms"])
        assert point["ratio_float32"] == pytest.approx(point["memfold_float32_ms"] / point["memfold_ms"])
        operations = (2 if point["mode"] == "infer" else 6) * timing.GATES[point["cell"]] * 8 * 16 * 2 * 4
        assert point["peak_percent"] == pytest.approx(100 * operations / (point["memfold_ms"] * 1e-3) / 2e9)
    assert halved["ratio"]["gru, train"] == halved["least"]["gru, train"] == pytest.approx(halved["points"][1]["ratio"])


def test_the_table_has_a_section_for_bfloat16(halved: dict[str, Any]) -> None:
    report = runpy.run_path(str(BENCHMARKS / "table.py"))["report"]
    layers, stream = written()
    text = report(layers, stream, bfloat16=halved)
    assert "### GRU, inference:" in text
    assert "| B | T | H | memfold ms | float32 ms | torch.nn ms | torch.nn, bfloat16 ms | ratio | peak |" in text
    assert "| B | T | H | memfold ms | float32 ms | eager loop ms | ratio | peak |" in text


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
    jax = ["jax"] * bool(version_of("jax"))
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
    layer, (x, cotangent) = timing.layer_of("lstm", 8), torch.randn(2, 5, 3, 8)
    own = module.derived(layer, x, cotangent)()
    other = module.derived(layer, x, 1.1 * cotangent)
    with pytest.raises(RuntimeError, match="other computes something else than memfold: gradients of x differ by"):
        module._check_equal_gradients({"other": other}, own)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own, while it compiles
@pytest.mark.release
def test_the_compiled_loop_computes_what_memfold_does(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("memfold.bench.train")
    monkeypatch.setattr(module, "COMPILED", [(3, 5, 8)])
    layer, (x, cotangent) = timing.layer_of("peephole", 8), torch.randn(2, 5, 3, 8)
    peers = module._peers("peephole", layer, x, cotangent)
    assert "compiled" in peers
    module._check_equal_gradients(peers, module.derived(layer, x, cotangent)())


def test_the_table_has_a_section_of_training_where_it_was_measured(trained: dict[str, Any]) -> None:
    report = runpy.run_path(str(BENCHMARKS / "table.py"))["report"]
    layers, stream = written()
    assert "## Training" not in report(layers, stream)
    text = report(layers, stream, trained)
    assert text.startswith(report(layers, stream))
    assert f"### Peephole LSTM: {trained['ratio']['peephole']:.2f} times eager loop (geometric mean)" in text
    assert "| RNN (tanh) |" in text.split("What autograd keeps")[1]


def split(series: int = 3) -> SeriesSplit:
    """Noisy seasons of four steps, the last four to be forecast."""
    rng = np.random.default_rng(0)
    y = np.tile([10.0, 20.0, 30.0, 20.0], 20)[None, :] + rng.normal(size=(series, 80))
    frame = pl.concat(pl.DataFrame({"unique_id": f"s{i}", "ds": np.arange(80), "y": row}) for i, row in enumerate(y))
    whole = SeriesTable(frame, "1")
    return SeriesSplit(whole.head(4), whole)


def forecaster() -> Forecaster:
    return Forecaster(horizon=4, seasons=(4,), context=16, hidden_size=8)


def test_series_scores_as_an_evaluation_does() -> None:
    parts = split()
    model = forecaster().fit(parts.train, budget="2ep", progress=False)
    scores = series._scores(model, parts, {"memfold": model.predict(parts.train.known)})
    report = model.evaluate(parts.whole)
    assert scores["memfold"] == pytest.approx(report.metrics)
    assert scores["Naive2"] == pytest.approx(report.baselines["Naive2"])


def test_series_needs_a_time_and_the_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="budget '20ep': series needs a time such as 60s"):
        series.series("20ep")
    monkeypatch.setattr(bench, "version_of", lambda name: "")
    with pytest.raises(InputError, match="neuralforecast, which is not installed here; make peers installs it"):
        bench.BENCHMARKS["series"]()


@pytest.mark.skipif(not version_of("neuralforecast"), reason="needs neuralforecast, which make peers installs")
@pytest.mark.filterwarnings("ignore")  # of Lightning's own
def test_series_gives_both_models_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    points = {p["measure"]: p for p in series._points(split(), forecaster(), seconds=1.0, rounds=1)}
    assert list(points) == [*SCORES, "parameters", "steps", "windows_per_second", "series_per_second"]
    for name in ("memfold", "neuralforecast"):
        assert points["steps"][name] > 1
        assert points["owa"][name] > 0
    assert points["owa"]["Naive2"] == 1
    windows = points["windows_per_second"]["neuralforecast"]  # 128 in a step, and at least a second
    assert 0 < windows <= 128 * points["steps"]["neuralforecast"]
    speeds = points["series_per_second"]
    assert speeds["ratio"] == pytest.approx(speeds["memfold"] / speeds["neuralforecast"])


def test_the_table_has_a_section_of_forecasting_where_it_was_measured() -> None:
    report = runpy.run_path(str(BENCHMARKS / "table.py"))["report"]
    layers, stream = written()
    points: list[dict[str, Any]] = [
        {"measure": "owa", "memfold": 0.4321, "neuralforecast": 0.5, "Naive2": 1.0},
        {"measure": "crps", "memfold": 0.05, "neuralforecast": 0.06},
        {"measure": "series_per_second", "memfold": 1500, "neuralforecast": 500, "ratio": 3.0},
    ]
    versions = layers["machine"]["versions"] | {"neuralforecast": "3.2.1"}
    measured = {"machine": layers["machine"] | {"versions": versions}, "budget_seconds": 60.0, "points": points}
    text = report(layers, stream, series=measured)
    assert text.startswith(report(layers, stream))
    assert "for 60 seconds each" in text
    assert "neuralforecast 3.2.1." in text
    assert "| OWA | 0.432 | 0.500 | 1.000 |  |" in text
    assert "| CRPS | 0.0500 | 0.0600 |  |  |" in text
    assert "| series a second | 1,500 | 500 |  | 3.0 |" in text


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


@pytest.mark.release
def test_busy_measures_every_peer_under_every_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "fma_peak", lambda threads: 1e9)
    monkeypatch.setattr(busy, "TURN", 0.01)
    threads = busy.engine.get_num_threads()
    results = bench.busy(rounds=1, sizes=[(1, 4, 8)], modes=["train"])
    assert [p["load"] for p in results["points"]] == list(busy.LOADS)
    for p in results["points"]:
        assert p["ratio_one_thread"] == pytest.approx(p["memfold_ms"] / p["memfold_one_thread_ms"])
        assert p["ratio_torch"] == pytest.approx(p["torch_ms"] / p["memfold_ms"])
        assert p["memfold_p99_ms"] >= p["memfold_ms"] > 0
        assert ("torch_share" in p) == (p["load"] == "two processes")
    assert busy.engine.get_num_threads() == threads
    report = runpy.run_path(str(BENCHMARKS / "table.py"))["report"]
    layers, stream = written()
    text = report(layers, stream, busy=results, busy_bfloat16=results)
    assert "### One core taken" in text
    (mean,) = (p["ratio_torch"] for p in results["points"] if p["load"] == "one core taken")
    line = next(line for line in text.splitlines() if line.startswith("| one core taken | train |"))
    assert line.endswith(f"| {mean:.2f} | {mean:.2f} |")
    assert text.count("| train | 1 | 4 | 8 |") == len(busy.LOADS)


def test_the_load_is_there_while_it_is_measured_and_gone_afterwards() -> None:
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children")
    if not children.exists():
        pytest.skip("needs Linux's list of a process's children")
    before = set(children.read_text().split())
    with busy._under("all cores taken"):
        assert len(set(children.read_text().split()) - before) == busy.engine.cores()
    assert set(children.read_text().split()) <= before


def test_the_command_line_asks_for_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bench.BENCHMARKS, "busy", lambda **options: {"points": [], "asked": options})
    for options, asked in (([], {}), (["--bfloat16"], {"bfloat16": True})):
        done = run_here("bench", "busy", "--json", *options)
        assert done.returncode == 0
        assert json.loads(done.stdout)["asked"] == asked


@pytest.fixture
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is timed does not count here: no pauses, few calls, and no peak to be found."""
    monkeypatch.setattr(timing, "fma_peak", lambda threads: 1e9)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr(steps, "BATCHES", 2)
    monkeypatch.setattr(steps, "PARTS", 1)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_layer_on_torch_is_called_as_ours(bidirectional: bool) -> None:
    layer = LSTM(3, 4, 2, batch_first=True, bidirectional=bidirectional)
    x, lengths = torch.randn(3, 6, 3), torch.tensor([6, 1, 4])
    for given in (None, lengths):
        y, (h, c) = layer(x, lengths=given)
        on_torch, (h_torch, c_torch) = steps.OnTorch(layer)(x, lengths=given)
        torch.testing.assert_close(on_torch, y)
        torch.testing.assert_close(h_torch, h)
        torch.testing.assert_close(c_torch, c)


@pytest.mark.parametrize(
    "layer", [GRU(3, 4, 3, bias=False), LSTM(3, 4, 2, batch_first=True, bidirectional=True)], ids=("gru", "lstm")
)
def test_every_layers_output_on_torch_is_ours(layer: LSTM | GRU) -> None:
    x, lengths = torch.randn(3, 3, 3), torch.tensor([3, 1, 2])
    for on_torch, output in zip(
        steps.OnTorch(layer).outputs(x, lengths=lengths), layer.outputs(x, lengths=lengths), strict=True
    ):
        torch.testing.assert_close(on_torch, output)


def check_tasks(names: list[str]) -> None:
    result = bench.tasks(names, rounds=1)
    assert [point["task"] for point in result["points"]] == names
    for point in result["points"]:
        peers = [name for name in ("torch", "torch_bfloat16") if f"{name}_ms" in point]
        for peer in peers:
            milliseconds = point["memfold_bfloat16_ms" if point["precision"] == "bfloat16" else "memfold_ms"]
            assert point[f"{peer}_ms"] == pytest.approx(milliseconds * point[f"ratio_{peer}"])
        assert point["ratio"] == min(point[f"ratio_{peer}"] for peer in peers)
        assert 0 < point["layers_percent"] < 100
        assert min(point[f"{part}_ms"] for part in ("forward", "backward", "update", "preparation")) > 0
    assert result["least"] == min(point["ratio"] for point in result["points"])


@pytest.mark.usefixtures("without_pauses")
def test_a_step_of_a_task_is_timed_beside_the_same_network_on_torch() -> None:
    check_tasks(["anomaly"])


@pytest.mark.release
@pytest.mark.usefixtures("without_pauses")
@pytest.mark.parametrize("name", [name for name in TASKS if name != "anomaly"])
def test_a_step_of_every_task_is_timed(name: str) -> None:
    check_tasks([name])


@pytest.mark.usefixtures("without_pauses")
def test_a_network_that_computes_something_else_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = steps.with_torch_layers

    def wrong(network: torch.nn.Module) -> torch.nn.Module:
        copied: torch.nn.Module = right(network)
        for weight in copied.parameters():
            torch.nn.init.normal_(weight)
        return copied

    monkeypatch.setattr(steps, "with_torch_layers", wrong)
    with pytest.raises(RuntimeError, match="anomaly: the loss is"):
        bench.tasks(["anomaly"], rounds=1)


def test_the_table_has_a_section_of_the_tasks_where_they_were_measured() -> None:
    report = runpy.run_path(str(BENCHMARKS / "table.py"))["report"]
    layers, stream = written()
    point = {"task": "faces", "weights": 2158632, "precision": "bfloat16", "ratio": 1.25, "layers_percent": 12.8}
    point |= {"memfold_ms": 40.0, "memfold_bfloat16_ms": 24.04, "torch_ms": 50.0, "torch_bfloat16_ms": 30.0}
    point |= {"preparation_ms": 1.3}
    other = {**point, "task": "detect", "precision": "float32", "ratio": 1.25}
    del other["torch_bfloat16_ms"]
    tasks = {"machine": layers["machine"], "points": [point, other], "ratio": 1.25, "least": 1.2}
    text = report(layers, stream, tasks=tasks)
    assert "## A training step of each task: 1.25 times (geometric mean), 1.20 at least" in text
    assert "| faces | 2,158,632 | 40.0 | **24.0** | 50.0 | 30.0 | 1.25 | 13 % | 1.3 |" in text
    assert "| detect | 2,158,632 | **40.0** | 24.0 | 50.0 |  | 1.25 | 13 % | 1.3 |" in text

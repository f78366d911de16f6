import gzip
import importlib
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from memfold.cli import run
from memfold.errors import InputError
from memfold.lab import run_lab
from memfold.lab.experiments import PUZZLES, Claim, findings
from memfold.lab.gradient import gradient_by_lag
from memfold.lab.networks import COMPARED_CELLS, Reader, recurrent
from memfold.lab.pixels import Digits, PixelRecipe, fit, load_digits
from memfold.lab.puzzles import Adding, PuzzleBatch
from memfold.lab.report import write_record
from memfold.lab.trial import EXAMINED, Outcome, Recipe, attempt, examined
from memfold.nn import LSTM
from memfold.training import Budget
from memfold.words import Words

QUICK = Recipe(hidden_size=16, lr=2e-2, every=960, limit=1920)


def outcome(cell: str, lag: int, solved: bool) -> Outcome:
    return Outcome(cell, lag, 0, 1.0, solved)


def test_a_claim_is_held_against_what_came_out() -> None:
    claim = Claim("Paper", "lstm", False, 100)
    assert findings([claim], [outcome("lstm", 50, True), outcome("gru", 100, True)])[0].endswith("not tried here")
    assert findings([claim], [outcome("lstm", 100, False)])[0].endswith("so it is here (at 100)")
    against = findings([claim], [outcome("lstm", 100, True), outcome("lstm", 200, False)])[0]
    assert "NOT FOUND here: 1 of 2 runs went the other way (at 100)" in against
    assert findings([Claim("Paper", "gru", True, 8, 8)], [outcome("gru", 8, True)]) == [
        "Paper: gru solves it at 8; so it is here (at 8)"
    ]


class Knowing(torch.nn.Module):
    """Answers the adding task, wrongly for a share of the sequences."""

    def __init__(self, wrong: float) -> None:
        super().__init__()
        self.wrong = wrong

    def forward(self, x: torch.Tensor, lengths: None, steps: int) -> torch.Tensor:
        y = (x[..., 0] * x[..., 1]).sum(0)
        y[: round(self.wrong * len(y))] += 1
        return y[None, :, None]


def test_an_examination_counts_the_wrong_sequences() -> None:
    random = torch.Generator().manual_seed(0)
    found = examined(Knowing(0.0), Adding(10), random)  # type: ignore[arg-type]
    assert (found.wrong, found.loss) == (0, pytest.approx(0, abs=1e-9))
    found = examined(Knowing(0.2), Adding(10), random)  # type: ignore[arg-type]
    assert (found.wrong, found.loss) == (0.2 * EXAMINED, pytest.approx(0.2))


def test_a_training_ends_when_it_is_solved_and_repeats_itself() -> None:
    class Easy(Adding):
        def right(self, y: torch.Tensor, batch: PuzzleBatch) -> torch.Tensor:
            return torch.ones(len(y[0]), dtype=torch.bool)

    first, second = (attempt(Easy(10), "gru", 10, 3, "chrono", QUICK) for _ in range(2))
    assert first.solved
    assert first.sequences == QUICK.every
    assert first.curve == second.curve
    other = attempt(Adding(10), "rnn", 10, 0, "chrono", QUICK)
    assert not other.solved
    assert other.sequences == QUICK.limit
    assert [sequences for sequences, _ in other.curve] == [960, 1920]


def test_a_training_that_diverges_is_reported_and_not_solved(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Broken(Adding):
        def loss(self, y: torch.Tensor, batch: PuzzleBatch) -> torch.Tensor:
            return super().loss(y, batch) * float("nan")

    found = attempt(Broken(10), "gru", 10, 0, "chrono", QUICK)
    assert not found.solved
    assert (found.wrong, found.curve) == (EXAMINED, [])
    assert "gru, lag 10, seed 0: step 1, epoch 1: the loss became nan" in capsys.readouterr().err


def test_a_training_ends_with_its_time_and_is_examined_then() -> None:
    found = attempt(Adding(200), "gru", 200, 0, "chrono", replace(QUICK, limit=10**9, every=10**8), seconds=0.2)
    assert not found.solved
    assert [sequences for sequences, _ in found.curve] == [found.sequences]


@pytest.mark.release
@pytest.mark.slow
def test_the_gru_solves_a_short_adding_task() -> None:
    found = attempt(Adding(20), "gru", 20, 0, "chrono", Recipe(hidden_size=32, lr=1e-2, limit=100_000))
    assert found.solved
    assert found.loss < 1e-3 < Adding.ignorance


def test_a_learning_rate_of_ones_own_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PUZZLES, "adding", replace(PUZZLES["adding"], recipe=Recipe(8, 8, limit=320, every=160)))
    own, same, other = (
        run_lab("adding", lags="12", cells="gru", **options) for options in ({}, {"lr": 1e-2}, {"lr": 1e-4})
    )
    assert own.curves == same.curves != other.curves
    assert (own.settings["lr"], other.settings["lr"]) == (1e-2, 1e-4)


@pytest.mark.parametrize("name", PUZZLES)
def test_every_puzzle_runs_with_every_cell(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = PUZZLES[name]
    monkeypatch.setitem(PUZZLES, name, replace(experiment, recipe=Recipe(8, 8, limit=16, every=16)))
    record = run_lab(name, lags="12")
    assert [row["cell"] for row in record.rows] == list(COMPARED_CELLS)
    assert list(record.curves["lag 12"]) == list(COMPARED_CELLS)
    assert len(record.findings) == len(experiment.claims)


def test_the_gradient_by_h_is_that_of_finite_differences() -> None:
    torch.manual_seed(0)
    layer = recurrent("peephole", 2, 3, "torch", 10).double()
    x, direction = torch.randn(5, 1, 2, dtype=torch.float64), torch.randn(1, 3, dtype=torch.float64)
    norms = gradient_by_lag(layer, x, direction)["h"]
    with torch.no_grad():
        _, (h, c) = layer(x[:3])
        differences = []
        for unit in range(3):
            ends = []
            for sign in (1, -1):
                moved = h.clone()
                moved[0, 0, unit] += sign * 1e-6
                ends.append((layer(x[3:], (moved, c))[0][-1] * direction).sum())
            differences.append((ends[0] - ends[1]) / 2e-6)
    torch.testing.assert_close(norms[2, 0], torch.stack(differences).norm(), rtol=1e-6, atol=1e-12)
    torch.testing.assert_close(norms[0, 0], direction.norm())


def test_the_plain_rnns_gradient_vanishes_where_it_is_said_to_and_only_there() -> None:
    record = run_lab("gradient")
    share = {(r["cell"], r["init"], r["forget bias"], r["inputs"]): r["lag 100"] for r in record.rows}
    lstm = share["lstm", "torch", 3.0, 1.0]
    assert lstm / share["rnn", "torch", None, 1.0] >= 1e4
    assert share["lstm", "torch", 3.0, 0.01] / share["rnn", "orthogonal", None, 0.01] < 1e4
    assert share["lstm", "torch", 3.0, 0.01] / share["rnn", "memfold", None, 0.01] < 1
    findings = "\n".join(record.findings)
    assert "[rnn, torch, inputs 1]" in findings
    assert findings.count("does NOT hold") == 2
    assert len(record.findings) == 6


def test_the_forget_bias_of_the_gradient_experiment_is_that_of_a_layer() -> None:
    record = run_lab("gradient", cells="lstm", init="torch", forget_bias=3.0, scale=1.0, lags="20")
    assert [row["forget bias"] for row in record.rows] == [3.0]
    assert list(record.rows[0])[-1] == "lag 20"
    assert not record.findings


def test_an_orthogonal_start_is_torchs_but_for_the_recurrent_matrices() -> None:
    torch.manual_seed(0)
    layer = recurrent("lstm", 3, 8, "orthogonal", 10)
    torch.manual_seed(0)
    assert torch.equal(layer.get_parameter("weight_ih_l0"), LSTM(3, 8, init="torch").weight_ih_l0)  # type: ignore[arg-type]
    for block in layer.get_parameter("weight_hh_l0").data.split(8):
        torch.testing.assert_close(block @ block.T, torch.eye(8), atol=1e-5, rtol=0)


def write_mnist(folder: Path, count: int) -> None:
    """Files in MNIST's form, whose images are ramps."""
    labels = np.arange(count, dtype=np.uint8) % 2
    images = (np.arange(784).reshape(28, 28) % 200 + 50 * labels[:, None, None]).astype(np.uint8)
    folder.mkdir()
    for part in ("train", "t10k"):
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            (folder / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(head + array.tobytes()))


def test_pixels_are_read_in_order_or_shuffled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path / "mnist", 30)
    monkeypatch.setenv("MEMFOLD_DATA", str(tmp_path))
    (train, _), (permuted, test) = load_digits("sequential"), load_digits("permuted")
    assert train.x.shape == test.x.shape == (784, 30, 1)
    ramp = (torch.arange(784) % 200 / 255 - 0.1307) / 0.3081
    torch.testing.assert_close(train.x[:, 0, 0], ramp)
    assert train.labels.tolist() == [0, 1] * 15
    assert torch.equal(permuted.x, test.x)  # both parts in the same order
    assert not torch.equal(permuted.x, train.x)
    torch.testing.assert_close(permuted.x[:, 0, 0].sort().values, ramp.sort().values)
    model, result = fit("gru", "sequential", train, Budget.parse("1ep"), 0, "chrono", PixelRecipe(4, 8))
    assert isinstance(model, Reader)
    assert result.steps == 3


def test_what_is_not_mnist_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMFOLD_DATA", str(tmp_path))
    with pytest.raises(InputError, match="put its files into a folder mnist in one that MEMFOLD_DATA names"):
        load_digits("sequential")
    write_mnist(tmp_path / "mnist", 30)
    broken = tmp_path / "mnist" / "t10k-images-idx3-ubyte.gz"
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(InputError, match=r"t10k-images-idx3-ubyte\.gz: not readable"):
        load_digits("sequential")


def test_only_the_pixels_need_what_reads_images(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [own for own in sys.modules if own.startswith(("memfold.lab", "memfold.data.images"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "PIL", None)
    fresh = importlib.import_module("memfold.lab")
    assert fresh.run_lab("gradient", cells="rnn", init="torch", lags="8").rows
    with pytest.raises(InputError, match=r"pixels needs PIL: pip install 'memfold\[train,vision\]'"):
        fresh.run_lab("pixels")


def test_the_validation_part_is_not_learnt_from() -> None:
    digits = Digits(torch.zeros(784, 20, 1), torch.zeros(20, dtype=torch.long))
    digits.x[0, -2:] = float("nan")  # held out: a tenth of so few
    _, result = fit("gru", "sequential", digits, Budget.parse("1ep"), 0, "chrono", PixelRecipe(4, 6))
    assert result.stopped == "budget"


def answer_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["memfold", *arguments])
        return run(), capsys.readouterr()


def test_the_command_prints_one_json_object_and_writes_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "gradient.html"
    code, output = answer_of(
        ["lab", "gradient", "--cells", "rnn,gru", "--lags", "10", "--out", str(page), "--json"], capsys
    )
    assert code == 0
    record = json.loads(output.out)
    assert {row["cell"] for row in record["rows"]} == {"rnn", "gru"}
    text = page.read_text(encoding="utf-8")
    assert "<script src=" not in text
    assert "inputs of deviation 0.01" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lab", "sums"], "no experiment 'sums'; there is adding, copy, order, timing, reber, pixels, gradient"),
        (["lab", "gradient", "--budget", "2m"], "--budget: gradient has no such option; it has --lags"),
        (["lab", "adding", "--lags", "one"], "--lags one: expected whole numbers"),
        (["lab", "adding", "--lags", "3"], "8 is the shortest"),
        (["lab", "adding", "--cells", "rnn,brain"], "--cells: there is no 'brain'"),
        (["lab", "adding", "--budget", "3ep"], "give adding a time such as 2m"),
        (["lab", "adding", "--init", "zeros"], "--init: there is no 'zeros'"),
        (["lab", "adding", "--lr", "0"], "--lr 0: expected a rate above 0"),
        (["lab", "gradient", "--lr", "0.1"], "--lr: gradient has no such option"),
        (["lab", "pixels", "--orders", "spiral"], "--orders: there is no 'spiral'"),
        (["lab", "gradient", "--cells", "rnn", "--init", "chrono"], "a plain RNN has no gates"),
        (["lab", "gradient", "--out", "nowhere/a.html"], "nowhere/a.html: there is no folder"),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, output = answer_of(arguments, capsys)
    assert code == 2
    assert message in output.err
    assert "Traceback" not in output.err


def test_a_page_in_chinese_says_nothing_in_english_but_names(tmp_path: Path) -> None:
    record = run_lab("gradient", lags="8,16", cells="rnn,lstm", init="torch")
    page = write_record(tmp_path / "a.html", record, "zh").read_text(encoding="utf-8")
    assert page.startswith('<!doctype html><html lang="zh-CN">')
    assert "间隔 16 处的梯度是" in page
    assert '<th scope="col">遗忘门偏置</th>' in page
    texts = re.sub(r"<(script|style)>.*?</\1>|<[^>]+>", "|", page.split("<footer>")[0], flags=re.S)
    assert not re.search(r"[a-z]{3,} (?!lab|gradient)[a-z]{3,}", texts.replace("memfold lab gradient", ""))
    # What is printed, and --json, stay in English.
    assert json.loads(json.dumps(record.as_json()))["findings"] == [str(finding) for finding in record.findings]
    assert "its gradient at lag 16 is" in record.findings[0]


def test_a_claim_and_its_verdict_in_chinese() -> None:
    (finding,) = findings([Claim("Paper", "gru", False, 8, 8)], [outcome("gru", 8, True)])
    assert Words("zh").of(finding) == (
        "Paper：gru 在间隔为 8 时不能解决；本次结果不同：1 次训练中有 1 次与之相反（间隔 8）"
    )


def test_another_language_is_refused_before_anything_is_trained(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in ("lab adding", "demo", "evaluate model data.csv"):
        monkeypatch.setattr("sys.argv", ["memfold", *command.split(), "--lang", "fr"])
        assert run() == 2
        assert capsys.readouterr().err == "memfold: --lang fr: there is en and zh\n"

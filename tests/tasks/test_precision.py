"""What the steps of a training multiply in: chosen by a fit, set by a person, kept with the model."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import memfold
from memfold import engine
from memfold.tasks import precision as precisions
from memfold.tasks.generate import TextGenerator, windows
from memfold.tasks.generate.windows import TextProblem
from memfold.tasks.precision import precision_for
from memfold.tasks.registry import TASKS
from tasks.small import SMALL

TEXT = "one two three four five six seven\n" * 30


def generator(**changes: Any) -> TextGenerator:
    sizes = {"hidden_size": 8, "embedding_size": 8, "dropout": 0.1, "tied": False, "batch_size": 4}
    return TextGenerator(**{**sizes, **changes})


@pytest.mark.parametrize(
    ("isa", "gain", "halves", "expected"),
    [
        ("v4-bf16", 2.0, True, "bfloat16"),
        ("v4-bf16", 2.0, False, "float32"),
        ("v4-bf16", 0.6, True, "float32"),
        ("v4-amx", 18.0, True, "bfloat16"),
        ("v4", 0.5, True, "float32"),
        ("neon-bf16", 2.0, True, "float32"),
    ],
)
def test_auto_is_bfloat16_where_processor_and_task_gain(
    monkeypatch: pytest.MonkeyPatch, isa: str, gain: float, halves: bool, expected: str
) -> None:
    monkeypatch.setattr(engine, "isa", lambda: isa)
    monkeypatch.setattr(precisions, "gain", lambda: gain)
    assert precision_for(halves) == expected


def test_steps_are_in_bfloat16_and_validations_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, set[bool]] = {"loss": set(), "validate": set()}

    def watched(name: str) -> Any:
        method = getattr(TextProblem, name)

        def call(self: TextProblem, *arguments: Any) -> Any:
            found[name].add(torch.is_autocast_enabled("cpu"))
            result = method(self, *arguments)
            if isinstance(result, Tensor):
                assert result.dtype == torch.float32
            return result

        return call

    for name in found:
        monkeypatch.setattr(TextProblem, name, watched(name))
    model = generator(precision="bfloat16").fit(TEXT, budget="1ep", progress=False)
    assert found == {"loss": {True}, "validate": {False}}
    assert {weight.dtype for weight in model.network_.parameters()} == {torch.float32}


def test_the_choice_is_part_of_the_plan(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engine, "isa", lambda: "v4-bf16")
    monkeypatch.setattr(precisions, "gain", lambda: 2.0)
    monkeypatch.setattr(TextGenerator, "halves", True)
    model = generator().fit(TEXT, budget="1ep")
    assert model.plan_["precision"] == model.chosen.precision == "bfloat16"
    assert "precision=bfloat16" in capsys.readouterr().err
    model.save(tmp_path / "m")
    assert memfold.load(tmp_path / "m").plan_ == model.plan_
    given = generator(precision="float32").fit(TEXT, budget="1ep", progress=False)
    assert "precision" not in given.plan_
    # On another processor the plan of this one holds; one without a word of it is of float32.
    monkeypatch.setattr(engine, "isa", lambda: "v3")
    again = generator().fit(TEXT, budget="1ep", progress=False, plan=model.plan_)
    assert again.chosen.precision == "bfloat16"
    before = {name: value for name, value in model.plan_.items() if name != "precision"}
    assert "precision" not in generator().fit(TEXT, budget="1ep", progress=False, plan=before).plan_


def test_a_wide_vocabulary_is_learnt_in_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """From some of its tokens, whose chances are not rounded: the loss is nearly that in float32."""
    monkeypatch.setattr(windows, "CANDIDATES", 5)
    losses = []
    for precision in ("float32", "bfloat16"):
        model = generator(precision=precision).fit(TEXT, budget="3ep", progress=False)
        losses.append(model.training_.best_score)
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


def test_a_processor_that_is_slower_in_bfloat16_is_told_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(precisions, "gain", lambda: 0.6)
    for precision, told in (("bfloat16", 1), ("float32", 0)):
        generator(precision=precision).fit(TEXT, budget="1ep")
        assert capsys.readouterr().err.count("float32 would be faster here") == told


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_task_has_nearly_the_same_gradient_in_bfloat16(name: str, tmp_path: Path) -> None:
    small = SMALL[name](tmp_path)
    task = small.model()
    begun = task.before_training(task.parts(small.data), "2ep")
    network = begun.problem.model
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()  # over a few alike faces it would magnify what was rounded
    batch = next(iter(begun.problem.batches(0)))
    losses, gradients = [], []
    for halved in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=halved):
            loss = begun.problem.loss(batch)
        network.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        losses.append(loss.item())
        gradients.append(torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None]))
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    assert torch.cosine_similarity(*gradients, dim=0) > 0.95

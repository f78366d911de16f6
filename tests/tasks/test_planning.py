"""What a fit chooses by looking at the data and the machine, and who won on the validation part."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.base import clone

from memfold.budget import Budget
from memfold.errors import InputError
from memfold.tasks.contest import ANSWER, Contest
from memfold.tasks.generate import TextGenerator
from memfold.tasks.model import FitData
from memfold.tasks.parameters import AUTO, parameters_of, parse_settings, planned
from memfold.tasks.planning import Plan, machine_speed, read_plan, seconds_of, speed_for
from memfold.tasks.report import Parts

TEXT = "one two three four five six seven\n" * 30


class Planning(TextGenerator):
    """A generator whose batch comes from the length of its text."""

    halves = False  # on any processor
    batch_size: int | None = planned("places in the text", least=1)
    window: int | None = planned("tokens that a gradient goes back", least=1, most=100)

    def plan(self, train: str, valid: str, budget: Budget, speed: float) -> Plan:
        return Plan({"batch_size": len(train) // 200, "window": 7, "hidden_size": 3}, "a short text", 12.3)

    def problem(self, network: Any, ready: Any) -> Any:
        from memfold.tasks.generate.windows import TextProblem

        train, valid = (torch.from_numpy(part) for part in ready)
        chosen = self.chosen
        return TextProblem(network, train, valid, chosen.batch_size, chosen.window, self.seed, self.tokens)

    def finish(self, data: FitData, ready: Any) -> Contest:
        super().finish(data, ready)
        return Contest("nats_carried", "lower", {ANSWER: 2.0, "3-gram": 1.5}, {ANSWER: 0.25, "3-gram": 0.75})


def small(**changes: Any) -> Planning:
    return Planning(**{"hidden_size": 8, "embedding_size": 8, "dropout": 0.1, "tied": False, **changes})


@pytest.fixture(scope="module")
def model() -> Planning:
    return small().fit(TEXT, budget="1ep", progress=False)


def test_a_plan_fills_what_was_left_open(model: Planning) -> None:
    assert model.plan_ == {"batch_size": 4, "window": 7}
    assert (model.chosen.batch_size, model.chosen.window, model.chosen.hidden_size) == (4, 7, 8)


def test_a_fit_changes_no_parameter(model: Planning) -> None:
    assert model.get_params() == small().get_params() == clone(model).get_params()
    assert model.batch_size is None


def test_what_is_set_wins(capsys: pytest.CaptureFixture[str]) -> None:
    model = small(batch_size=2).fit(TEXT, budget="1ep")
    assert model.plan_ == {"window": 7}
    assert model.chosen.batch_size == 2
    assert "plan: a short text: window=7; some 12 epochs fit" in capsys.readouterr().err


def test_a_plan_for_a_time_says_how_fast_the_machine_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memfold.tasks.fitting.speed_for", lambda budget: 2**0.5)
    read = small().rehearse(Parts(TEXT, TEXT), "9s")
    assert read["plan"] == "a short text: batch_size=4 window=7; some 12 epochs fit at a speed of 1.4"


def test_it_is_said_who_won(capsys: pytest.CaptureFixture[str]) -> None:
    model = small().fit(TEXT, budget="1ep")
    said = "memfold lost to 3-gram on the validation part, nats_carried: 3-gram 1.5, memfold 2; the answer is made of"
    assert said in capsys.readouterr().err
    report = model.evaluate(TEXT).as_json()
    assert report["winner"] == "3-gram"
    assert report["plan"] == {"batch_size": 4, "window": 7}


def test_plan_and_contest_are_kept_with_the_model(model: Planning, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    assert config["plan"] == {"batch_size": 4, "window": 7}
    restored = Planning._restored(tmp_path / "m", config)
    assert restored.plan_ == model.plan_
    assert restored.contest_ == model.contest_
    assert read_plan(tmp_path / "m") == model.plan_
    config["plan"] = {"window": 101}
    with pytest.raises(InputError, match="window must be at most 100, got 101"):
        Planning._restored(tmp_path / "m", config)
    config["plan"] = {"num_layers": 8}
    with pytest.raises(InputError, match="plan has 'num_layers', which is unknown there"):
        Planning._restored(tmp_path / "m", config)


def test_a_given_plan_replaces_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Planning, "plan", None)
    model = small().fit(TEXT, budget="1ep", progress=False, plan={"batch_size": 3, "window": 5})
    assert model.plan_ == {"batch_size": 3, "window": 5}
    with pytest.raises(InputError, match="plan: has no window"):
        small().fit(TEXT, budget="1ep", progress=False, plan={"batch_size": 3})


def test_a_resumed_training_keeps_its_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Planning, "finish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            small().fit(TEXT, budget="2ep", out=tmp_path / "m", progress=False)
    monkeypatch.setattr(Planning, "plan", lambda *_: Plan({"batch_size": 1, "window": 1}))
    model = small().fit(TEXT, budget="2ep", out=tmp_path / "m", resume=True, progress=False)
    assert model.plan_ == {"batch_size": 4, "window": 7}


def test_a_rehearsal_says_the_plan() -> None:
    read = small().rehearse(Parts(TEXT, TEXT), "1ep")
    assert read["plan"] == "a short text: batch_size=4 window=7; some 12 epochs fit"


def test_a_plan_in_a_file(tmp_path: Path) -> None:
    printed = tmp_path / "printed.json"
    printed.write_text(json.dumps({"task": "generate", "plan": {"window": 5}}))
    assert read_plan(printed) == {"window": 5}
    printed.write_text('{"window": 6}')
    assert read_plan(printed) == {"window": 6}
    printed.write_text("[1]")
    with pytest.raises(InputError, match=r"expected an object with a plan, got \[1\]"):
        read_plan(printed)
    printed.write_text("window=5")
    with pytest.raises(InputError, match=r"printed.json: not readable as JSON"):
        read_plan(printed)
    with pytest.raises(InputError, match="there is no such file"):
        read_plan(tmp_path / "none.json")


def test_a_planned_parameter_is_shown_and_set_as_auto() -> None:
    (window,) = [p for p in parameters_of(Planning) if p.name == "window"]
    assert window.shown_default == window.as_json()["default"] == AUTO
    assert parse_settings({"window": window.hint}, "generate", ["window=auto"]) == {"window": None}
    assert parse_settings({"window": window.hint}, "generate", ["window=9"]) == {"window": 9}


def test_a_budget_in_epochs_is_planned_without_looking_at_the_machine() -> None:
    assert speed_for(Budget.parse("3ep")) == 1
    assert seconds_of(Budget.parse("3ep"), "3m") == seconds_of(Budget.parse("180s"), "1m") == 180


def test_the_speed_of_a_machine_is_a_power_of_the_root_of_two() -> None:
    state = torch.get_rng_state()
    speed = machine_speed(torch.get_num_threads())
    halves = 2 * math.log2(speed)
    assert halves == pytest.approx(round(halves), abs=1e-9)
    assert 0.01 < speed < 100
    assert torch.equal(torch.get_rng_state(), state)


def test_a_contest_is_won_by_the_best_score() -> None:
    assert Contest("accuracy", "higher", {ANSWER: 0.9, "majority": 0.5}).winner == ANSWER
    assert Contest("nats", "lower", {ANSWER: 2.0, "3-gram": 1.9}).winner == "3-gram"
    assert Contest("nats", "lower", {ANSWER: 2.0, "3-gram": 2.0}).winner == ANSWER

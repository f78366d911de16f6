"""The page's engine in a browser: every cell, its gradients, its ledger and its held gates against memfold's own."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from memfold.cells.folding import fold_backward, trace
from memfold.cells.table import CELLS
from memfold.explain import Clamp, account, find_units, text_features, traced, what_if
from memfold.explorer import explore, lesson_models
from memfold.explorer.packing import CharacterModel, NumberModel
from memfold.nn import LSTM

CHROMIUM = shutil.which("chromium")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")]

STEPS, INPUTS, HIDDEN = 7, 3, 5
CASES = [*CELLS, "lstm with peepholes", "coupled_lstm with peepholes"]

# Builds a layer in the page, folds it, and goes back through it; dy is the derivative by every h.
FOLDED = """
({cell, weights, x, dy}) => {
  const arrays = Object.fromEntries(Object.entries(weights).map(([name, w]) => [name, Float64Array.from(w)]));
  const layer = new memfold.Layer({cell, hidden: dy[0].length, inputs: x[0].length, ...arrays});
  const steps = layer.forward(x.map((row) => Float64Array.from(row)));
  const {by, dx} = layer.backward(steps, dy);
  const list = (found) => Object.fromEntries(Object.entries(found).map(([name, a]) => [name, [...a]]));
  return {steps: steps.map(({values}) => list(values)), by: list(by), dx: dx.map((row) => [...row])};
}
"""


@pytest.fixture(scope="module")
def page(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    opened = browser.new_page()
    opened.goto(explore(tmp_path_factory.mktemp("page") / "lesson.html").as_uri() + "#k=0")
    return opened


def given_cell(case: str) -> tuple[str, dict[str, NDArray[np.float64]], NDArray[np.float64], NDArray[np.float64]]:
    """A cell's name, weights, an input and a derivative by every h, all drawn."""
    cell = case.split()[0]
    rng = np.random.default_rng(CASES.index(case))
    shapes = CELLS[cell].shapes(INPUTS, HIDDEN, HIDDEN)
    names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", *(["weight_ph"] if "peepholes" in case else [])]
    weights = {name: rng.normal(size=shapes[name]) for name in names}
    return cell, weights, rng.normal(size=(STEPS, 1, INPUTS)), rng.normal(size=(STEPS, 1, HIDDEN))


@pytest.mark.parametrize("case", CASES)
def test_a_cell_of_the_page_computes_what_memfold_computes_and_its_gradients(case: str, page: Any) -> None:
    cell, weights, x, dy = given_cell(case)
    flat = {name: weight.ravel().tolist() for name, weight in weights.items()}
    got = page.evaluate(FOLDED, {"cell": cell, "weights": flat, "x": x[:, 0].tolist(), "dy": dy[:, 0].tolist()})
    for name, values in trace(cell, x, weights).items():
        np.testing.assert_allclose([step[name] for step in got["steps"]], values[:, 0], atol=1e-9, err_msg=name)
    gradients = fold_backward(cell, x, weights, dy)
    np.testing.assert_allclose(got["dx"], gradients.x[:, 0], atol=1e-9)
    assert got["by"].keys() == gradients.weights.keys()
    for name, gradient in gradients.weights.items():
        np.testing.assert_allclose(got["by"][name], gradient.ravel(), atol=1e-9, err_msg=name)


@pytest.mark.parametrize("number", [0, 1])
def test_every_value_of_the_models_is_that_of_their_weights_and_the_ledger_adds_up(number: int, page: Any) -> None:
    packed = sorted(lesson_models(), key=lambda model: model["name"] != "prose")[number]
    text = packed["hero"]["text"]
    page.evaluate("(model) => memfold.set({model})", number)
    got = page.evaluate(
        """() => memfold.reading().steps.map((step, t) => ({
          values: Object.fromEntries(Object.entries(step.layers[0]).map(([name, a]) => [name, [...a]])),
          next: [...step.next],
          ledger: [...step.layers[0].c.keys()].map((unit) =>
            memfold.reader().ledger(memfold.reading().steps, 0, unit, t).parts.reduce((a, b) => a + b, 0)),
        }))"""
    )
    model = CharacterModel.unpacked(packed)
    (expected,) = model.values(text)
    for name, values in expected.items():
        np.testing.assert_allclose([step["values"][name] for step in got], values, atol=1e-9, err_msg=name)
    np.testing.assert_allclose([step["ledger"] for step in got], expected["c"], atol=1e-12)
    nats = -np.log([step["next"][token] for step, token in zip(got, model.encode(text)[1:], strict=False)]).mean()
    assert nats == pytest.approx(model.nats(text), abs=1e-9)


def test_what_a_network_of_numbers_expects_is_what_its_weights_expect(page: Any) -> None:
    packed = next(model for model in lesson_models() if model["name"] == "taxi")
    got = page.evaluate(
        """() => {
          memfold.set({model: memfold.data.models.findIndex((model) => model.name === "taxi")});
          return memfold.reading().steps.map((step) => [step.next[0], ...step.layers[0].c]);
        }"""
    )
    numbers = np.array(packed["hero"]["text"].split(), float)
    model = NumberModel.unpacked(packed)
    np.testing.assert_allclose([step[0] for step in got], model.expected(numbers), rtol=1e-9)
    np.testing.assert_allclose([step[1:] for step in got], model.values(numbers)[0]["c"], atol=1e-9)


@pytest.fixture(scope="module")
def layer() -> tuple[LSTM, torch.Tensor, str]:
    """The prose model's layer as a module of torch in float64, its input, and the text."""
    packed = next(model for model in lesson_models() if model["name"] == "prose")
    model = CharacterModel.unpacked(packed)
    weights = {f"{name}_l0": torch.from_numpy(weight) for name, weight in model.layers[0][1].items()}
    lstm = LSTM(model.embedding.shape[1], model.hidden_size, coupled=True, dtype=torch.float64)
    lstm.load_state_dict(weights)
    text = packed["hero"]["text"]
    return lstm, torch.from_numpy(model.embedding[model.encode(text)])[:, None], text


@pytest.mark.parametrize(("gate", "value"), [("f", 0.0), ("f", 1.0), ("i", 0.25), ("g", -0.5), ("o", 0.0)])
def test_a_held_gate_changes_what_what_if_says_it_changes(
    gate: str, value: float, page: Any, layer: tuple[LSTM, torch.Tensor, str]
) -> None:
    lstm, x, text = layer
    unit, start = 83, 20
    _, expected = what_if(lstm, lambda: lstm(x)[0], Clamp("l0", gate, value, units=[unit], steps=range(start, len(x))))
    hold = {"layer": 0, "gate": gate, "unit": unit, "from": start, "value": value}
    got = page.evaluate(
        """({text, hold}) => {
          memfold.set({model: 0, text, holds: [hold]});
          return memfold.reading().steps.map((step) => [...step.layers[0].h]);
        }""",
        {"text": text, "hold": hold},
    )
    page.evaluate("memfold.set({holds: []})")
    np.testing.assert_allclose(got, expected[:, 0].detach().numpy(), atol=1e-9)


def test_the_ledger_of_the_page_is_the_account_of_explain(page: Any, layer: tuple[LSTM, torch.Tensor, str]) -> None:
    lstm, x, text = layer
    steps = traced(lstm, lambda: lstm(x)).layers["l0"]
    parts = page.evaluate(
        """(text) => {
          memfold.set({model: 0, text});
          const {steps} = memfold.reading();
          return [...Array(128).keys()].map((u) => memfold.reader().ledger(steps, 0, u, steps.length - 1).parts);
        }""",
        text,
    )
    np.testing.assert_allclose(np.transpose(parts), account(steps, len(text) - 1).steps, atol=1e-6)


def test_an_interval_is_wilsons_and_the_sentence_follows_the_intervals(page: Any) -> None:
    low, high = page.evaluate("memfold.wilson(75, 100)")  # from R: binom::binom.wilson(75, 100)
    assert (round(low, 4), round(high, 4)) == (0.6570, 0.8245)
    verdict: Callable[..., str] = lambda *hits: page.evaluate(  # noqa: E731
        "(hits) => memfold.verdict(...hits.map((n) => ({hits: n, done: 100})))", hits
    )
    assert verdict(75, 41, 18) == "verdict less"
    assert verdict(75, 22, 18) == "verdict as never"
    assert verdict(75, 70, 18) == "verdict none"
    assert verdict(40, 70, 18) == "verdict more"


def test_the_page_takes_packed_arrays_as_python_takes_them(page: Any) -> None:
    from memfold.explorer.packing import packed, unpacked

    for array in (np.random.default_rng(0).normal(size=(4, 9)), np.array([1e-8, -3.25, 0.0])):
        part = packed(array)
        assert page.evaluate("(part) => [...memfold.unpacked(part)]", part) == unpacked(part).ravel().tolist()


def test_the_finder_finds_what_find_units_finds(page: Any) -> None:
    packed = next(model for model in lesson_models() if model["name"] == "prose")
    text = packed["probe"]
    got = page.evaluate("memfold.find(memfold.FEATURES.quotes, undefined, 1)")
    features = text_features(text)
    assert page.evaluate("(text) => memfold.FEATURES.quotes([...text])", text) == features["quotes"].tolist()
    (values,) = CharacterModel.unpacked(packed).values(text)
    both = np.concatenate([values["c"], values["h"]], axis=1)  # the page looks at both
    (best,) = find_units(both, {"quotes": features["quotes"]})
    (found,) = got["found"]
    assert (found["unit"], found["name"]) == (best.unit % 128, "ch"[best.unit // 128])
    assert (found["found"], found["score"]) == pytest.approx((best.found, best.score), abs=1e-9)
    assert 0.4 < got["floor"] < best.score


def test_a_text_is_read_again_only_from_where_it_changed(page: Any) -> None:
    """And comes out as if it had been read afresh."""
    fresh, again = page.evaluate(
        """() => {
          const its = memfold.reader();
          const read = (text, holds, earlier) => its.read(its.tokens(text), holds, earlier);
          const held = [{layer: 0, gate: "f", unit: 3, from: 4, value: 0}];
          const first = read("the old prince", held, null);
          const second = read("the odd prince", held, first);
          const third = read("the odd prince", [], second);
          return [read("the odd prince", [], null), third].map((r) => r.steps.map((s) => [...s.layers[0].h]));
        }"""
    )
    assert json.dumps(fresh) == json.dumps(again)


def test_the_page_is_one_file_that_may_open_no_connection(tmp_path: Path) -> None:
    page = explore(tmp_path / "lesson.html", language="zh").read_text(encoding="utf-8")
    assert "default-src &#x27;none&#x27;" in page
    assert "<link" not in page
    assert "src=" not in page
    assert "{{" not in page
    assert page.count("</script>") == page.count("<script")
    assert len(page.encode()) < 700_000

"""What learns in the page: every cell and its gradients against memfold's, its steps against torch's Adam."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from memfold.cells.folding import fold, fold_backward
from memfold.cells.table import CELLS
from memfold.explorer import explore
from memfold.explorer.page import PARTS

CHROMIUM = shutil.which("chromium")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")]

STEPS, ROWS, INPUTS, HIDDEN = 6, 5, 3, 8
CASES = [*CELLS, "lstm with peepholes", "coupled_lstm with peepholes"]
SHORT = ["gru", "lstm with peepholes"]
LATER = [case for case in CASES if case not in SHORT]  # tried by make release-check
ENGINES = ["wasm", pytest.param("js", marks=pytest.mark.release)]

# A learner with given weights, folded; its head is the identity, so that its outputs are h, and dy their gradient.
LEARNED = """
({cell, weights, x, dy, steps, rows, inputs, hidden}) => {
  const peepholes = "weight_ph" in weights;
  const its = new memfold.Learner({cell, hidden, inputs, outputs: hidden, steps, rows, peepholes});
  its.w.fill(0);
  for (const [name, w] of Object.entries(weights)) {
    const columns = {weight_ih: inputs, weight_hh: hidden}[name] || 0;
    w.forEach((value, k) => {
      const turned = columns ? (k % columns) * its.N + Math.floor(k / columns) : k;
      its[name][turned] = value;
    });
  }
  for (let k = 0; k < hidden; k++) its.head[k * its.O + k] = 1;
  const y = [...its.forward(Float32Array.from(x))];
  its.y.set(dy);
  its.backward(Float32Array.from(x));
  const list = (found) => Object.fromEntries(Object.entries(found).map(([name, a]) => [name, [...a]]));
  return {engine: its.engine, y, by: list(its.layer("d_")), head: [...its.linear("d_").weight], dh: [...its.dh]};
}
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return explore(tmp_path_factory.mktemp("page") / "lesson.html")


@pytest.fixture(scope="module", params=ENGINES)
def page(request: pytest.FixtureRequest, browser: Any, path: Path) -> Iterator[Any]:
    opened = browser.new_page()
    if request.param == "js":
        opened.add_init_script("delete window.WebAssembly;")
    opened.goto(path.as_uri())
    opened.engine = request.param
    yield opened
    opened.close()


def near(got: Any, expected: NDArray[Any], what: str) -> None:
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(np.reshape(got, expected.shape) / scale, expected / scale, atol=1e-5, err_msg=what)


@pytest.mark.parametrize("case", [*SHORT, *(pytest.param(case, marks=pytest.mark.release) for case in LATER)])
def test_a_cell_that_learns_computes_what_memfold_computes_and_its_gradients(case: str, page: Any) -> None:
    cell = case.split()[0]
    rng = np.random.default_rng(CASES.index(case))
    shapes = CELLS[cell].shapes(INPUTS, HIDDEN, HIDDEN)
    names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", *(["weight_ph"] if "peepholes" in case else [])]
    weights = {name: rng.normal(size=shapes[name]) / 2 for name in names}
    x, dy = rng.normal(size=(STEPS, ROWS, INPUTS)), rng.normal(size=(STEPS, ROWS, HIDDEN))
    flat = {name: weight.ravel().tolist() for name, weight in weights.items()}
    sizes = {"steps": STEPS, "rows": ROWS, "inputs": INPUTS, "hidden": HIDDEN}
    given = {"cell": cell, "weights": flat, "x": x.ravel().tolist(), "dy": dy.ravel().tolist(), **sizes}
    got = page.evaluate(LEARNED, given)
    assert got["engine"] == page.engine
    y, _ = fold(cell, x, weights)
    near(got["y"], y, "y")
    near(got["head"], np.einsum("tbj,tbk->jk", dy, y), "head")
    gradients = fold_backward(cell, x, weights, dy)
    assert got["by"].keys() == gradients.weights.keys()
    for name, gradient in gradients.weights.items():
        near(got["by"][name], gradient, name)


def test_steps_of_adam_on_tokens_are_torchs(page: Any) -> None:
    """Six updates of an LSTM that reads tokens, with clipped gradients and the state carried on."""
    tokens, updates = 7, 6
    rng = np.random.default_rng(0)
    x = rng.integers(tokens, size=(updates, STEPS, ROWS))
    begun, losses = page.evaluate(
        """({x, tokens, hidden, steps, rows}) => {
          const its = new memfold.Learner({cell: "lstm", hidden, tokens, outputs: tokens, steps, rows, seed: 3});
          const begun = {...its.layer(), ...Object.fromEntries(Object.entries(its.linear()))};
          const losses = x.map((text) => {
            const read = Int32Array.from(text);
            its.carry();
            its.forward(read);
            const loss = its.crossEntropy(read.map((token) => (token * 3 + 1) % tokens));
            its.backward(read);
            its.adam(0.01, 0.05);
            return loss;
          });
          return [Object.fromEntries(Object.entries(begun).map(([name, a]) => [name, [...a]])), losses];
        }""",
        {"x": x.reshape(updates, -1).tolist(), "tokens": tokens, "hidden": HIDDEN, "steps": STEPS, "rows": ROWS},
    )
    layer = torch.nn.LSTM(tokens, HIDDEN, dtype=torch.float64)
    head = torch.nn.Linear(HIDDEN, tokens, dtype=torch.float64)
    with torch.no_grad():
        for name, weight in layer.named_parameters():
            weight.copy_(torch.tensor(begun[name.removesuffix("_l0")]).reshape(weight.shape))
        head.weight.copy_(torch.tensor(begun["weight"]).reshape(tokens, HIDDEN))
        head.bias.copy_(torch.tensor(begun["bias"]))
    parameters = [*layer.parameters(), *head.parameters()]
    adam, state, expected = torch.optim.Adam(parameters, lr=0.01), None, []
    for read in torch.from_numpy(x):
        h, state = layer(torch.nn.functional.one_hot(read, tokens).double(), state)
        state = tuple(part.detach() for part in state)
        loss = torch.nn.functional.cross_entropy(head(h).flatten(0, 1), ((read * 3 + 1) % tokens).flatten())
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 0.05)
        adam.step()
        expected.append(loss.item())
    np.testing.assert_allclose(losses, expected, atol=1e-5)


def test_a_number_that_is_to_be_guessed_at_the_end_gives_the_errors_gradient(page: Any) -> None:
    """Against finite differences, in a cell that the test above has held equal to memfold's."""
    largest = page.evaluate(
        """() => {
          const its = new memfold.Learner({cell: "gru", hidden: 8, inputs: 2, outputs: 1, steps: 5, rows: 4, seed: 2});
          const chance = memfold.random(9);
          const x = Float32Array.from({length: 40}, chance), want = Float32Array.from({length: 4}, chance);
          const loss = () => { its.forward(x, false); return its.squaredError(want, false); };
          loss();
          its.backward(x, false);
          const d = its.d.slice();
          let largest = 0;
          for (let k = 0; k < its.size; k += 3) {
            const w = its.w[k];
            its.w[k] = w + 0.01;
            const up = loss();
            its.w[k] = w - 0.01;
            const down = loss();
            its.w[k] = w;
            largest = Math.max(largest, Math.abs((up - down) / 0.02 - d[k]));
          }
          return largest;
        }"""
    )
    assert largest < 1e-4


def test_the_kernel_is_its_source_assembled() -> None:
    wasmtime = pytest.importorskip("wasmtime")
    assert bytes(wasmtime.wat2wasm((PARTS / "kernel.wat").read_text("utf-8"))) == (PARTS / "kernel.wasm").read_bytes()

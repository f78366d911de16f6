from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from memfold import cells
from memfold.errors import InputError
from memfold.explain.attribution import inputs_of, integrated_gradients, occlusion, substituted
from memfold.explain.ledger import account, half_life
from memfold.explain.stepping import gradient_flow, replayed
from memfold.explain.trace import LayerTrace, Trace, traced
from memfold.explain.what_if import Ablate, Clamp, Edit, what_if
from memfold.lab.gradient import gradient_by_lag
from memfold.nn import GRU, LSTM, RNN
from memfold.nn.layer import Recurrent

T, F, H = 9, 3, 4
KINDS: dict[str, Callable[..., Recurrent]] = {
    "lstm": LSTM,
    "peephole": lambda *a, **k: LSTM(*a, peephole=True, **k),
    "coupled": lambda *a, **k: LSTM(*a, coupled=True, **k),
    "gru": GRU,
    "gru_reset_before": lambda *a, **k: GRU(*a, reset_after=False, **k),
}


def made(kind: str, **options: Any) -> Recurrent:
    torch.manual_seed(0)
    layer = KINDS[kind](F, H, dtype=torch.float64, init="torch", **options)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.mul_(2)  # gates that differ
    return layer.eval()


def sequence(seed: int = 1) -> torch.Tensor:
    return torch.randn(T, 1, F, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def trace_of(layer: Recurrent, x: torch.Tensor, hx: Any = None) -> Trace:
    return traced(layer, lambda: layer(x, hx))


# -- traces --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_trace_is_what_the_readable_cells_compute(kind: str) -> None:
    layer, x = made(kind), sequence()
    found = trace_of(layer, x).layers["l0"]
    weights = {name.removesuffix("_l0"): weight.detach().numpy() for name, weight in layer.named_parameters()}
    expected = cells.trace(layer.cell, x.numpy(), weights)
    assert list(found.values) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found.values[name], value[:, 0], atol=1e-12)


def test_a_trace_knows_the_state_it_started_from_and_the_rows_length() -> None:
    layer = made("lstm", num_layers=2, bidirectional=True, batch_first=True)
    hx = tuple(torch.randn(4, 1, H, dtype=torch.float64) for _ in range(2))
    found = traced(layer, lambda: layer(sequence().transpose(0, 1), hx, lengths=[6]))
    assert list(found.layers) == ["l0", "l0_reverse", "l1", "l1_reverse"]
    for row, own in enumerate(found.layers.values()):
        assert own.values["f"].shape == (6, H)
        assert own.labels == list("012345")
        np.testing.assert_array_equal(own.start["c"], hx[1][row, 0])
    assert found.layers["l1_reverse"].reverse


def test_several_rows_or_calls_are_refused() -> None:
    layer = made("gru")
    with pytest.raises(ValueError, match="2 rows"):
        traced(layer, lambda: layer(torch.zeros(T, 2, F, dtype=torch.float64)))
    with pytest.raises(ValueError, match="more than once"):
        traced(layer, lambda: (layer(sequence()), layer(sequence())))


@pytest.mark.parametrize("name", ["t.npz", "t.json"])
def test_a_saved_trace_comes_back(name: str, tmp_path: Path) -> None:
    layer = made("lstm").float()
    saved = traced(layer, lambda: layer(sequence().float()), lambda _, steps: [f"字{t}" for t in range(steps)])
    saved.save(tmp_path / name)
    back = Trace.load(tmp_path / name)
    assert back.layers["l0"].labels == saved.layers["l0"].labels
    for key, value in saved.layers["l0"].values.items():
        np.testing.assert_array_equal(back.layers["l0"].values[key], value)
    np.testing.assert_array_equal(back.layers["l0"].start["c"], np.zeros(H))
    assert back.layers["l0"].plain


def test_what_is_no_trace_is_refused(tmp_path: Path) -> None:
    layer = made("gru")
    trace_of(layer, sequence()).save(tmp_path / "whole.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:500])
    (tmp_path / "a.npz").write_bytes(b"nothing")
    (tmp_path / "a.json").write_text('{"schema": 7, "layers": {}}')
    for name, message in (
        ("a.npz", "not a trace"),
        ("cut.npz", "not a trace"),
        ("a.json", "schema 7"),
        ("none.npz", "no such file"),
    ):
        with pytest.raises(InputError, match=message):
            Trace.load(tmp_path / name)
    with pytest.raises(InputError, match=r"ends in \.npz or \.json"):
        Trace({}).save(tmp_path / "a.txt")


# -- the ledger ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [0, 4, T - 1, -1])
def test_the_account_of_a_memory_adds_up_to_it(kind: str, step: int) -> None:
    layer = made(kind, bidirectional=True)
    state = torch.randn(2, 1, H, dtype=torch.float64)
    hx = state if kind.startswith("gru") else (state, -state)
    for own in trace_of(layer, sequence(), hx).layers.values():
        found = account(own, step)
        np.testing.assert_allclose(found.total, own.values[found.state][step], atol=1e-12)
        yet_to_come = slice(None, step % T) if own.reverse else slice(step % T + 1, None)
        assert not found.steps[yet_to_come].any()


def test_the_account_of_a_fast_layer_adds_up_in_single_precision() -> None:
    torch.manual_seed(0)
    layer = LSTM(8, 64)
    own = traced(layer, lambda: layer(torch.randn(200, 1, 8))).layers["l0"]
    np.testing.assert_allclose(account(own, -1).total, own.values["c"][-1], atol=1e-5)


def test_an_account_worked_out_by_hand() -> None:
    i, f, g = (np.array(v)[:, None] for v in ([0.5, 1.0, 0.5], [0.9, 0.5, 0.2], [1.0, -1.0, 0.4]))
    layer = LayerTrace("lstm", False, {"i": i, "f": f, "g": g, "c": np.zeros((3, 1))}, {"c": np.array([2.0])}, [])
    found = account(layer, 2)
    np.testing.assert_allclose(found.start, [2 * 0.9 * 0.5 * 0.2])
    np.testing.assert_allclose(found.steps[:, 0], [0.5 * 0.5 * 0.2, -1 * 0.2, 0.5 * 0.4])


def test_half_of_what_a_unit_holds_is_gone_after_its_half_life() -> None:
    kept = np.tile([0.5, 0.5 ** (1 / 7), 1.0, 0.0], (20, 1))
    written = np.ones_like(kept)
    values = {"f": kept, "i": written, "g": written, "c": kept}
    np.testing.assert_allclose(half_life(LayerTrace("lstm", False, values, {}, [])), [1, 7, np.inf, 0], atol=2e-3)


def test_a_unit_that_lets_go_where_it_writes_lasts_as_long_as_it_holds() -> None:
    kept, written = np.ones((60, 1)), np.full((60, 1), 1e-3)
    kept[::10], written[::10] = 0.0, 1.0  # every tenth step wipes out what was there and writes anew
    values = {"f": kept, "i": written, "g": np.ones((60, 1)), "c": kept}
    np.testing.assert_allclose(half_life(LayerTrace("lstm", False, values, {}, [])), [9], atol=2e-3)
    backwards = {name: value[::-1] for name, value in values.items()}
    np.testing.assert_allclose(half_life(LayerTrace("lstm", True, backwards, {}, [])), [9], atol=2e-3)


def test_there_is_no_account_of_a_plain_rnn_nor_of_resets() -> None:
    rnn = RNN(F, H, dtype=torch.float64)
    with pytest.raises(ValueError, match="plain RNN's state has no account"):
        account(trace_of(rnn, sequence()).layers["l0"], 0)
    lstm = made("lstm")
    cut = traced(lstm, lambda: lstm(sequence(), resets=torch.zeros(T, 1, dtype=torch.bool))).layers["l0"]
    with pytest.raises(ValueError, match="resets or zoneout"):
        half_life(cut)
    with pytest.raises(IndexError, match="there is no step 9"):
        account(trace_of(lstm, sequence()).layers["l0"], 9)


# -- steps, gradients, attributions ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_replayed_layer_computes_what_it_computes(kind: str) -> None:
    layer = made(kind, num_layers=2, bidirectional=True, batch_first=True)
    x = sequence().transpose(0, 1)
    expected = layer(x, lengths=[7])
    with replayed(layer) as kept:
        found = layer(x, lengths=[7])
    torch.testing.assert_close(found, expected)
    assert {name: len(steps) for name, steps in kept.items()} == dict.fromkeys(kept, 7)


def test_the_gradient_flow_of_a_network_is_that_of_the_lab() -> None:
    layer, x, direction = made("lstm"), sequence(), torch.randn(1, H, dtype=torch.float64)
    found = gradient_flow(layer, lambda: (layer(x)[0][-1] * direction).sum())
    assert all(weight.grad is None for weight in layer.parameters())
    expected = gradient_by_lag(layer, x, direction)
    torch.testing.assert_close(found["l0"], expected["h"][:, 0].flip(0))
    torch.testing.assert_close(found["l0/c"], expected["c"][:, 0].flip(0))


def test_integrated_gradients_are_complete() -> None:
    layer, x = made("peephole"), sequence()[:, 0]

    def score(x: torch.Tensor) -> torch.Tensor:
        return layer(x[:, None])[0][-1].sum()

    shares = integrated_gradients(score, x)
    torch.testing.assert_close(shares.sum(), score(x) - score(torch.zeros_like(x)), atol=1e-6, rtol=0)
    line = torch.tensor([1.0, -2.0, 3.0])
    torch.testing.assert_close(integrated_gradients(lambda x: (line * x).sum(), line), line**2)


def test_occlusion_is_what_the_score_loses_without_a_step() -> None:
    x = torch.arange(6.0).reshape(3, 2)
    torch.testing.assert_close(occlusion(lambda x: (x**2).sum(), x), (x**2).sum(1))
    torch.testing.assert_close(occlusion(lambda x: x.sum(), x, torch.ones(3, 2)), (x - 1).sum(1))


def test_what_layers_read_can_be_put_in_their_place() -> None:
    below, above = made("lstm"), GRU(F, H, dtype=torch.float64)
    x = sequence()

    def run() -> torch.Tensor:
        return torch.cat([below(x)[0], above(2 * x)[0]], -1)

    read = inputs_of([below, above], run)
    torch.testing.assert_close(read, torch.cat([x, 2 * x], -1)[:, 0])
    expected = run()
    x = torch.zeros_like(x)
    with substituted([below, above], read):
        torch.testing.assert_close(run(), expected)


# -- what if -------------------------------------------------------------------------------------------------


def by_hand(layer: Recurrent, x: torch.Tensor, change: Callable[[int, dict[str, np.ndarray]], None]) -> np.ndarray:
    """h of every step by the learner's cells, with the state changed before each."""
    weights = {name.removesuffix("_l0"): weight.detach().numpy() for name, weight in layer.named_parameters()}
    state, outputs = {"h": np.zeros((1, H)), "c": np.zeros((1, H))}, []
    for t, x_t in enumerate(x.numpy()):
        change(t, state)
        values = cells.lstm(x_t, state["h"], state["c"], weights)
        state = {"h": values["h"].copy(), "c": values["c"].copy()}
        outputs.append(values["h"])
    return np.stack(outputs)


@pytest.mark.parametrize("kind", ["lstm", "peephole"])
def test_an_edited_memory_gives_what_the_cells_give(kind: str) -> None:
    layer, x = made(kind), sequence()

    def change(t: int, state: dict[str, np.ndarray]) -> None:
        if t == 4:
            state["c"][0, 2] = 1.5

    as_is, edited = what_if(layer, lambda: layer(x)[0], Edit("l0", "c", 2, 4, 1.5))
    np.testing.assert_allclose(edited.numpy(), by_hand(layer, x, change), atol=1e-12)
    torch.testing.assert_close(as_is[:4], edited[:4])
    assert (as_is[4:] - edited[4:]).abs().max() > 1e-3


def test_a_silent_unit_gives_what_the_cells_give() -> None:
    layer, x = made("lstm"), sequence()

    def change(t: int, state: dict[str, np.ndarray]) -> None:
        state["h"][0, 1] = 0

    _, silent = what_if(layer, lambda: layer(x)[0], Ablate("l0", [1]))
    expected = by_hand(layer, x, change)
    expected[..., 1] = 0
    np.testing.assert_allclose(silent.numpy(), expected, atol=1e-12)


def test_a_forget_gate_held_open_and_an_input_gate_held_shut_keep_the_memory() -> None:
    layer, x = made("peephole"), sequence()
    start = torch.randn(1, 1, H, dtype=torch.float64)
    changes = (Clamp("l0", "f", 1.0), Clamp("l0", "i", 0.0))
    _, held = what_if(layer, lambda: layer(x, (start, start))[1][1], *changes)
    torch.testing.assert_close(held, start)


@pytest.mark.parametrize(
    ("kind", "gate", "value"),
    [
        ("lstm", "f", 0.3),
        ("peephole", "o", 0.8),
        ("lstm", "g", -0.5),
        ("coupled", "f", 0.25),
        ("gru", "z", 0.9),
        ("gru", "n", 0.1),
    ],
)
def test_a_clamped_gate_has_its_value_at_its_units_and_steps_alone(kind: str, gate: str, value: float) -> None:
    layer, x = made(kind), sequence()
    free = trace_of(layer, x).layers["l0"].values[gate]
    with replayed(layer, [Clamp("l0", gate, value, units=[0, 2], steps=[1, 2])]) as kept:
        layer(x)
    found = np.stack([values[gate][0].detach().numpy() for values in kept["l0"]])
    np.testing.assert_allclose(found[1:3, [0, 2]], value, atol=1e-12)
    np.testing.assert_allclose(found[0], free[0], atol=1e-12)
    assert not np.isclose(found[1:3, [1, 3]], value).any()
    assert not np.isclose(found[3:], value).any()


def test_changes_that_do_not_fit_are_named() -> None:
    layer, x = made("gru"), sequence()
    for change, message in (
        (Clamp("l1", "z", 0.5), "there is no layer 'l1'; there is l0"),
        (Clamp("l0", "f", 0.5), "gru has no gate 'f'"),
        (Clamp("l0", "z", -0.5), "the gate z cannot be held at -0.5"),
        (Edit("l0", "c", 0, 0, 0.0), "the state of gru is h, not 'c'"),
    ):
        with pytest.raises(ValueError, match=message):
            what_if(layer, lambda: layer(x)[0], change)

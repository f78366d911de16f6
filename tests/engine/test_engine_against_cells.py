"""The engine computes what the NumPy specification says."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from calls import CELLS, Call, random_call
from hypothesis import given, settings
from hypothesis import strategies as st

from memfold import cells, engine

TOLERANCE = {np.float32: 2e-5, np.float64: 2e-14}


@st.composite
def calls(draw: st.DrawFn) -> Call:
    cell = draw(st.sampled_from(sorted(CELLS)))
    bidirectional = draw(st.booleans())
    size = st.integers(1, 40)
    options = {
        "peephole": draw(st.booleans()),
        "bidirectional": bidirectional,
        "lengths": draw(st.booleans()),
        "resets": draw(st.booleans()),
        "clip": draw(st.sampled_from([None, 0.5])),
        "zoneout": draw(st.sampled_from([0.0, 0.3])),
    }
    if not bidirectional:
        options["reverse"] = draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    steps, batch = draw(st.integers(0, 9)), draw(st.integers(0, 17))
    return random_call(rng, cell, steps, batch, draw(size), draw(size), **options)


def assert_engine_follows_cells(call: Call, *dtypes: type) -> None:
    oracle = cells.bidirectional if "weight_ih_reverse" in call.weights else cells.fold
    expected, expected_state = oracle(call.cell, call.x, call.weights, call.state, **call.options)
    for dtype in dtypes:
        y, state = engine.fold(call.cell, call.x.astype(dtype), call.weights, call.state, **call.options)
        for ours, theirs in [(y, expected), *zip(state, expected_state, strict=True)]:
            assert ours.dtype == dtype
            limit = TOLERANCE[dtype] * max(1, np.abs(theirs).max(initial=0))
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=limit)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=200, deadline=None)
@given(call=calls())
def test_a_fold_is_that_of_the_specification(dtype: type, call: Call) -> None:
    assert_engine_follows_cells(call, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("hidden", [1, 15, 16, 17, 64, 100, 130])
@pytest.mark.parametrize("cell", sorted(CELLS))
def test_any_hidden_size_is_right(cell: str, hidden: int, dtype: type) -> None:
    for batch in (1, 2, 3, 7, 13):
        call = random_call(np.random.default_rng(hidden), cell, 5, batch, 9, hidden, lengths=True, resets=True)
        assert_engine_follows_cells(call, dtype)


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_a_trace_is_that_of_the_specification(cell: str) -> None:
    rng = np.random.default_rng(0)
    call = random_call(rng, cell, 6, 5, 7, 21, peephole=True, lengths=True, resets=True, zoneout=0.2)
    expected = cells.trace(call.cell, call.x, call.weights, call.state, **call.options)
    actual = engine.trace(call.cell, call.x, call.weights, call.state, **call.options)
    assert list(actual) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(actual[name], values, rtol=0, atol=1e-14, err_msg=name)


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("steps", [0, 1])
def test_sizes_of_zero_are_folds_too(cell: str, steps: int) -> None:
    for batch, input_size in [(0, 3), (2, 0), (0, 0)]:
        call = random_call(np.random.default_rng(0), cell, steps, batch, input_size, 5)
        assert_engine_follows_cells(call, np.float32)


def test_a_long_sequence_stays_right() -> None:
    call = random_call(np.random.default_rng(1), "lstm", 20_000, 1, 2, 3, peephole=True)
    assert_engine_follows_cells(call, np.float64, np.float32)


@pytest.mark.parametrize("cell", ["lstm", "coupled_lstm", "gru"])
def test_a_gate_that_is_wholly_open_keeps_its_value_to_the_last_bit(cell: str) -> None:
    call = random_call(np.random.default_rng(2), cell, 500, 2, 3, 8)
    call.weights["weight_ih"][:] = call.weights["weight_hh"][:] = 0
    keep = {"lstm": 8, "coupled_lstm": 0, "gru": 8}[cell]  # first row of the gate that keeps
    if cell == "lstm":
        call.weights["bias_ih"][:keep] = -200
    call.weights["bias_ih"][keep : keep + 8] = -200 if cell == "coupled_lstm" else 200
    _, final = engine.fold(cell, call.x.astype(np.float32), call.weights, call.state)
    np.testing.assert_array_equal(final[-1], call.state[-1].astype(np.float32))


def test_strides_of_x_and_out_are_taken_as_they_are() -> None:
    call = random_call(np.random.default_rng(3), "gru", 6, 4, 5, 19, lengths=True)
    x = call.x.astype(np.float32)
    expected, _ = engine.fold("gru", x, call.weights, call.state, **call.options)
    batch_first = np.ascontiguousarray(x.swapaxes(0, 1))
    wide = np.full((4, 6, 30), 7, np.float32)
    engine.fold(
        "gru", batch_first.swapaxes(0, 1), call.weights, call.state, out=wide[..., :19].swapaxes(0, 1), **call.options
    )
    np.testing.assert_array_equal(wide[..., :19].swapaxes(0, 1), expected)
    assert (wide[..., 19:] == 7).all()
    every_other = np.repeat(x, 2, axis=2)[..., ::2]
    np.testing.assert_array_equal(
        engine.fold("gru", every_other, call.weights, call.state, **call.options)[0], expected
    )
    backwards = np.ascontiguousarray(x[::-1])[::-1]
    np.testing.assert_array_equal(engine.fold("gru", backwards, call.weights, call.state, **call.options)[0], expected)


def test_infinities_and_nan_go_through_as_in_the_specification() -> None:
    weights = {"weight_ih": np.ones((4, 1)), "weight_hh": np.zeros((4, 1))}
    x = np.array([np.inf, -np.inf, np.nan, 1e30, -1e30]).reshape(1, 5, 1)
    for cell, known in CELLS.items():
        own = {name: w[:1].repeat(len(known.gates), axis=0) for name, w in weights.items()}
        with np.errstate(all="ignore"):
            expected, _ = cells.fold(cell, x, own)
        np.testing.assert_allclose(engine.fold(cell, x, own)[0], expected, atol=1e-15)


@pytest.mark.parametrize("ends", [("", "_reverse"), ("_reverse", "")], ids=["forward", "backward"])
@pytest.mark.parametrize("alone", [("weight_ph",), ("bias_ih",), ("bias_hh", "weight_ph")], ids=", ".join)
def test_weights_in_one_direction_only_are_named(alone: tuple[str, ...], ends: tuple[str, str]) -> None:
    call = random_call(np.random.default_rng(5), "lstm", 5, 2, 3, 4, peephole=True, bidirectional=True)
    has, lacks = ends
    for name in alone:
        del call.weights[name + lacks]
    message = f"got {', '.join(n + has for n in alone)} without {', '.join(n + lacks for n in alone)}"
    with pytest.raises(ValueError, match=f"both directions must have the same weights, {message}$"):
        engine.pack("lstm", call.weights)
    with pytest.raises(ValueError, match=message):
        engine.fold("lstm", call.x, call.weights)


@pytest.mark.release
@pytest.mark.parametrize("isa", ["v2", "v3", "v4", "v4-bf16", "v4-amx", "neon", "neon-bf16"])
def test_every_instruction_set_of_this_machine_passes_these_tests(isa: str) -> None:
    if isa == engine.isa():
        pytest.skip("this is the one that the other tests run on")
    environment = os.environ | {"MEMFOLD_ISA": isa}
    probe = [sys.executable, "-c", "import memfold.engine as e; print(e.isa())"]
    found = subprocess.run(probe, env=environment, capture_output=True, text=True)
    if found.returncode != 0:
        assert f"MEMFOLD_ISA is '{isa}'; this machine has" in found.stderr
        pytest.skip(found.stderr.strip().splitlines()[-1])
    assert found.stdout.strip() == isa
    folder = Path(__file__).parent
    tests = [__file__, folder / "test_engine_identity.py", folder / "test_engine_accuracy.py"]
    tests.append(folder / "test_bfloat16.py")
    tests.append(folder.parent / "conformance" / "test_engine_against_torch.py")
    tests += [folder.parent / "nn" / name for name in ("test_gradients.py", "test_autocast.py")]
    elsewhere = ["instruction_set", "compile", "inductor", "export", "a_moment_of_the_soak", "no_memory_behind"]
    chosen = " and ".join(f"not {name}" for name in elsewhere)
    run = [sys.executable, "-m", "pytest", "-q", "-k", chosen, "-p", "no:cacheprovider", *tests]
    done = subprocess.run(run, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]

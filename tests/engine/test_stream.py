"""Streams: step by step the same bits as a fold."""

import ctypes
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from calls import CELLS, random_call

from memfold import engine
from memfold.stream import Layer, Stream


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = engine.get_num_threads()
    engine.set_num_threads(2)
    yield
    engine.set_num_threads(before)


def wide(rng: np.random.Generator, cell: str, hidden: int, streams: int = 1) -> Stream:
    """One layer whose step is worth dividing."""
    return Stream([Layer(cell, random_call(rng, cell, 1, 1, hidden, hidden).weights)], streams=streams)


def stack(rng: np.random.Generator, dtype: type = np.float32, streams: int = 3, bfloat16: bool = False) -> Stream:
    """Three layers of different cells and a head."""
    layers, width = [], 5
    for cell, hidden in [("lstm", 20), ("gru", 33), ("rnn_tanh", 7)]:
        call = random_call(rng, cell, 1, 1, width, hidden, peephole=cell == "lstm")
        layers.append(Layer(cell, call.weights, clip=2.0, zoneout=0.1, bfloat16=bfloat16))
        width = hidden
    head = {"weight": rng.standard_normal((4, width)), "bias": rng.standard_normal(4)}
    return Stream(layers, head, streams=streams, dtype=dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("streams", [1, 2, 70])
def test_steps_are_the_fold_of_the_whole(cell: str, streams: int, dtype: type) -> None:
    call = random_call(np.random.default_rng(0), cell, 6, streams, 9, 37, peephole=True)
    x = call.x.astype(dtype)
    expected, final = engine.fold(cell, x, call.weights)
    stream = Stream([Layer(cell, call.weights)], streams=streams, dtype=dtype)
    for t, x_t in enumerate(x):
        np.testing.assert_array_equal(stream.step(x_t), expected[t])
    for ours, theirs in zip(stream.state[0], final, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_a_stack_with_a_head_is_fold_after_fold_and_a_product(bfloat16: bool) -> None:
    rng = np.random.default_rng(1)
    stream = stack(rng, bfloat16=bfloat16)
    x = rng.standard_normal((8, 3, 5)).astype(np.float32)
    y = x
    for layer in stream.layers:
        packed = engine.pack(layer.cell, layer.weights, bfloat16=bfloat16)
        y, _ = engine.fold(layer.cell, y, packed, clip=layer.clip, zoneout=layer.zoneout)
    assert stream.head is not None
    expected = y @ stream.head["weight"].T + stream.head["bias"]
    steps = np.stack([stream.step(x_t).copy() for x_t in x])
    np.testing.assert_allclose(steps, expected, atol=1e-5)


def test_a_step_gives_its_own_buffer_or_out() -> None:
    stream = stack(np.random.default_rng(2), streams=1)
    first, second = stream.step(np.ones(5, np.float32)), stream.step(np.ones(5, np.float32))
    assert first.shape == (4,)
    assert np.shares_memory(first, second)
    out = np.zeros((1, 4), np.float32)
    assert stream.step(np.ones((1, 5), np.float32), out=out) is out
    assert not np.shares_memory(out, first)
    assert out.any()


def test_other_types_and_layouts_of_x_are_converted() -> None:
    a, b = stack(np.random.default_rng(3)), stack(np.random.default_rng(3))
    x = np.random.default_rng(4).standard_normal((3, 5)).astype(np.float32)
    expected = a.step(x)
    np.testing.assert_array_equal(b.step(x.astype(np.float64)), expected)
    b.reset()
    np.testing.assert_array_equal(b.step(np.asfortranarray(x)), expected)


def test_shapes_that_do_not_fit_are_named() -> None:
    stream = stack(np.random.default_rng(5))
    with pytest.raises(ValueError, match=r"x must be \(3, 5\), got shape \(3, 6\)"):
        stream.step(np.zeros((3, 6), np.float32))
    with pytest.raises(ValueError, match=r"out must be \(3, 4\) in float32"):
        stream.step(np.zeros((3, 5), np.float32), out=np.zeros((3, 4)))
    with pytest.raises(ValueError, match="layer 1 takes 5 features, the one below gives 20"):
        Stream([stream.layers[0], stream.layers[0]])


def test_the_state_can_be_taken_and_put_back() -> None:
    rng = np.random.default_rng(6)
    stream = stack(rng)
    x = rng.standard_normal((3, 5)).astype(np.float32)
    stream.step(x)
    state = stream.state
    expected = stream.step(x).copy()
    assert (stream.step(x) != expected).any()
    stream.state = state
    np.testing.assert_array_equal(stream.step(x), expected)


def test_reset_starts_some_streams_anew() -> None:
    rng = np.random.default_rng(7)
    stream = stack(rng)
    x = rng.standard_normal((3, 5)).astype(np.float32)
    fresh, later = stream.step(x).copy(), stream.step(x).copy()
    stream.reset()
    stream.step(x)
    stream.reset([1])
    mixed = stream.step(x)
    np.testing.assert_array_equal(mixed[1], fresh[1])
    np.testing.assert_array_equal(mixed[[0, 2]], later[[0, 2]])
    with pytest.raises(IndexError, match="from 0 to 2, got 3"):
        stream.reset([3])


@pytest.mark.parametrize(("dtype", "bfloat16"), [(np.float32, False), (np.float32, True), (np.float64, False)])
def test_steps_of_some_streams_are_those_of_each_alone(dtype: type, bfloat16: bool) -> None:
    streams = 70
    rng = np.random.default_rng(20)
    together = stack(rng, dtype, streams, bfloat16)
    alone = Stream(together.layers, together.head, streams=streams, dtype=dtype)
    x = rng.standard_normal((6, streams, 5)).astype(dtype)
    expected = np.stack([alone.step(x_t).copy() for x_t in x])
    seen, heard = np.zeros(streams, int), np.zeros_like(expected)
    while (seen < len(x)).any():
        ready = np.flatnonzero(seen < len(x))
        rows = rng.permutation(ready)[: rng.integers(1, len(ready) + 1)]
        heard[seen[rows], rows] = together.step_rows(rows, x[seen[rows], rows])
        seen[rows] += 1
    np.testing.assert_array_equal(heard, expected)
    for ours, theirs in zip(together.state, alone.state, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_state_of_one_stream_can_be_taken_to_another() -> None:
    rng = np.random.default_rng(21)
    stream = stack(rng, streams=4)
    x = rng.standard_normal((4, 5)).astype(np.float32)
    stream.step(x)
    alone = Stream(stream.layers, stream.head)
    alone.state = stream.state_of(2)
    stream.set_state_of(0, alone.state)
    y = stream.step_rows([0, 2], x[[1, 1]])
    np.testing.assert_array_equal(y, [alone.step(x[1])] * 2)
    with pytest.raises(ValueError, match="must have 3 layers"):
        stream.set_state_of(0, alone.state[:2])
    with pytest.raises(IndexError, match="from 0 to 3, got 4"):
        stream.state_of(4)


def test_rows_that_are_no_streams_are_refused() -> None:
    stream = stack(np.random.default_rng(22))
    x = np.zeros((2, 5), np.float32)
    for rows in ([0, 3], [-1, 0]):
        with pytest.raises(IndexError, match="from 0 to 2"):
            stream.step_rows(rows, x)
    with pytest.raises(ValueError, match="different"):
        stream.step_rows([1, 1], x)
    with pytest.raises(ValueError, match=r"x must be \(1, 5\), got shape \(2, 5\)"):
        stream.step_rows([1], x)
    with pytest.raises(ValueError, match=r"out must be \(2, 4\)"):
        stream.step_rows([0, 1], x, out=np.zeros((3, 4), np.float32))
    assert stream.step_rows([], np.zeros((0, 5))).shape == (0, 4)


@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_reset_before", "rnn_tanh"])
@pytest.mark.parametrize(("hidden", "streams"), [(128, 1), (130, 7), (257, 1), (512, 1), (256, 50)])
def test_threads_change_no_bit_of_a_step(cell: str, hidden: int, streams: int, two_threads: None) -> None:
    steps = 300 if streams == 1 else 60
    x = np.random.default_rng(10).standard_normal((steps, streams, hidden)).astype(np.float32)
    results = []
    for threads in (2, 3, 1):
        engine.set_num_threads(threads)
        stream = wide(np.random.default_rng(11), cell, hidden, streams)
        results.append(np.stack([stream.step(x_t).copy() for x_t in x]))
    folded, _ = engine.fold(cell, x, stream.layers[0].weights)
    for result in results:
        np.testing.assert_array_equal(result, folded)


def test_streams_of_many_python_threads_get_what_each_gets_alone(two_threads: None) -> None:
    def seeded(seed: int) -> Stream:
        return wide(np.random.default_rng(seed), "lstm", 200)

    x = np.random.default_rng(12).standard_normal((1000, 200)).astype(np.float32)
    expected = [np.stack([stream.step(x_t).copy() for x_t in x]) for stream in map(seeded, range(4))]
    wrong: list[int] = []

    def work(k: int) -> None:
        stream = seeded(k)
        if not np.array_equal(np.stack([stream.step(x_t).copy() for x_t in x]), expected[k]):
            wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


FORKED = """
import os, sys, numpy as np
{load}
from memfold import engine
from memfold.stream import Layer, Stream
engine.set_num_threads(2)
rng = np.random.default_rng(0)
w = {{"weight_ih": rng.standard_normal((1024, 256)) / 16, "weight_hh": rng.standard_normal((1024, 256)) / 16}}
stream, x = Stream([Layer("lstm", w)]), rng.standard_normal((400, 256)).astype(np.float32)
y = [stream.step(x_t).copy() for x_t in x]
stream.reset()
child = os.fork()
again = [stream.step(x_t).copy() for x_t in x]
if child == 0:
    os._exit(0 if np.array_equal(again, y) else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) or not np.array_equal(again, y))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("load", ["", "import torch; torch.randn(500, 500) @ torch.randn(500, 500)"])
def test_a_stream_goes_on_in_a_forked_child(load: str) -> None:
    if load:
        pytest.importorskip("torch")
    done = subprocess.run([sys.executable, "-c", FORKED.format(load=load)], timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


THREADS = """
import os, sys, numpy as np
from memfold import engine
from memfold.stream import Layer, Stream
engine.set_num_threads({threads})
before = len(os.listdir("/proc/self/task"))
rng = np.random.default_rng(0)
w = {{"weight_ih": np.ones((4 * {hidden}, {hidden})), "weight_hh": np.ones((4 * {hidden}, {hidden}))}}
stream, x = Stream([Layer("lstm", w)]), np.ones({hidden}, np.float32)
started = len(os.listdir("/proc/self/task"))
for _ in range(1000):
    stream.step(x)
sys.exit(not started - before == len(os.listdir("/proc/self/task")) - before == {helpers})
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted in /proc")
@pytest.mark.parametrize(("threads", "hidden", "helpers"), [(1, 256, 0), (2, 64, 0), (2, 128, 1), (3, 256, 2)])
def test_helpers_start_with_a_stream_that_is_worth_them(threads: int, hidden: int, helpers: int) -> None:
    probe = THREADS.format(threads=threads, hidden=hidden, helpers=helpers)
    done = subprocess.run([sys.executable, "-c", probe], timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.alone
def test_a_step_now_and_then_keeps_no_core_busy(two_threads: None) -> None:
    stream, x = wide(np.random.default_rng(13), "lstm", 128), np.ones(128, np.float32)
    before = time.process_time()
    for _ in range(50):
        stream.step(x)
        time.sleep(0.005)
    assert time.process_time() - before < 0.05


@pytest.mark.parametrize("hidden", [None, 256])
def test_a_step_allocates_nothing(hidden: int | None, two_threads: None) -> None:
    class Mallinfo2(ctypes.Structure):
        _fields_ = [(name, ctypes.c_size_t) for name in ["arena", "a", "b", "c", "d", "e", "f", "uordblks", "g", "h"]]

    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        pytest.skip("counting needs glibc's mallinfo2")
    libc.mallinfo2.restype = Mallinfo2
    rng = np.random.default_rng(8)
    stream = stack(rng) if hidden is None else wide(rng, "lstm", hidden, 3)
    x = np.ones((3, stream.input_size), np.float32)
    stream.step(x)
    before = libc.mallinfo2().uordblks
    before = libc.mallinfo2().uordblks
    for _ in range(1000):
        stream.step(x)
    assert (
        libc.mallinfo2().uordblks - before < 1000
    )  # the counting itself takes a little; a leak of a byte a step shows


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_saved_stream_goes_on_as_it_was(tmp_path: Path, dtype: type) -> None:
    rng = np.random.default_rng(9)
    stream = stack(rng, dtype)
    stream.save(tmp_path / "model")
    loaded = Stream.load(tmp_path / "model", streams=3)
    x = rng.standard_normal((3, 5)).astype(dtype)
    for _ in range(3):
        np.testing.assert_array_equal(loaded.step(x), stream.step(x))


def test_a_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    stack(np.random.default_rng(10)).save(tmp_path)
    model, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    good_model, good_config = model.read_bytes(), json.loads(config.read_text())
    model.write_bytes(good_model[:-1])
    with pytest.raises(ValueError, match=r"model\.safetensors: the hash"):
        Stream.load(tmp_path)
    model.write_bytes(good_model)
    config.write_text(json.dumps(good_config | {"format": "something else"}))
    with pytest.raises(ValueError, match=r"config\.json: the format is 'something else'"):
        Stream.load(tmp_path)
    config.write_text("{}")
    with pytest.raises(ValueError, match=r"config\.json: not the description"):
        Stream.load(tmp_path)
    config.write_text(json.dumps(good_config | {"shapes": {}}))
    with pytest.raises(ValueError, match=r"model\.safetensors: its tensors are not those"):
        Stream.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        Stream.load(tmp_path / "nowhere")

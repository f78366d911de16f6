"""Random calls of the engine from Python, many with something wrong in them: folds, traces, packed weights, streams.

    python tests/fuzz_calls.py --minutes 10
    python tests/fuzz_calls.py --calls 2000 --seed 1

Each call is refused as a ValueError, TypeError or IndexError, or computes what memfold.cells computes; none writes
anywhere but into its results. What Python takes is tried here; tests/native/fuzz_engine.cpp tries the engine behind it,
under the sanitizers.
"""

import argparse
import gc
import random
import sys
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent / "engine"))

from calls import CELLS, Call, random_call

from memfold import _engine, cells, engine
from memfold.stream import Layer, Stream

__all__ = ["KINDS", "tried"]

Array = NDArray[Any]
REFUSALS = (ValueError, TypeError, IndexError)
CLOSE = {np.dtype(np.float32): 2e-4, np.dtype(np.float64): 1e-10}
CANARY = 77.0
NOTHING_LIKE: tuple[Any, ...] = (
    None, 1, -1, 0.5, float("nan"), True, "x", b"x", [], [[1.0]], {}, (), object(), np.float32(1), np.zeros(0), 10**40,
)  # fmt: skip


# -- arguments ---------------------------------------------------------------------------------------------------------


def laid_out(dice: random.Random, array: Array) -> Array:
    """The same numbers, laid out in memory in another way, or read-only."""
    match dice.randrange(9):
        case 0:
            return np.asfortranarray(array)
        case 1 if array.ndim:
            return np.repeat(array, 2, axis=-1)[..., ::2]
        case 2 if array.ndim:
            return np.ascontiguousarray(array[::-1])[::-1]
        case 3 if array.ndim:
            return np.concatenate([array, array[..., :1]], axis=-1)[..., : array.shape[-1]]
        case 4:  # beside the boundaries of its type
            memory = np.zeros(array.nbytes + 1, np.uint8)
            moved = memory[1:].view(array.dtype).reshape(array.shape)
            moved[...] = array
            return moved
        case 5:  # fields of a record that is no multiple of them
            records = np.zeros(array.shape, np.dtype([("own", array.dtype), ("other", "u1")]))
            records["own"] = array
            return records["own"]
        case 6:
            frozen = array.copy()
            frozen.flags.writeable = False
            return frozen
        case 7:  # of memory that Python holds
            return np.frombuffer(bytearray(array.tobytes()), array.dtype).reshape(array.shape)
    return array


def spoiled(dice: random.Random, array: Any) -> Any:
    """Something else than a call takes: of another type, shape, order of bytes, or no array."""
    array = np.asarray(array)
    match dice.randrange(10):
        case 0:
            kinds = ("f2", "f4", "f8", ">f4", ">f8", "i4", "i8", "u1", "?", "c8", "O", "S3", "M8[s]")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    return array.astype(dice.choice(kinds))
                except REFUSALS:
                    return array.astype(object)
        case 1 if array.ndim:
            return array[..., :-1]
        case 2 if array.ndim:
            return np.concatenate([array, array], axis=dice.randrange(array.ndim))
        case 3:
            return array[None]
        case 4 if array.ndim and len(array):
            return array[0]
        case 5 if array.ndim:
            return array[:0]
        case 6:
            return as_strided(array, array.shape, (0,) * array.ndim)
        case 7 if array.ndim > 1:
            return np.swapaxes(array, 0, -1)
        case 8:
            return array.tolist()
    return dice.choice(NOTHING_LIKE)


def random_fold(dice: random.Random) -> Call:
    """A fold that is right."""
    rng = np.random.default_rng(dice.randrange(1 << 32))
    cell = dice.choice(sorted(CELLS))
    options: dict[str, Any] = {}
    if dice.random() < 0.3:
        options["clip"] = dice.choice([0.1, 1, 3.0])
    if dice.random() < 0.3:
        options["zoneout"] = dice.choice([0.0, 0.5, 1.0])
    both = dice.random() < 0.3
    if not both and dice.random() < 0.3:
        options["reverse"] = True
    sizes = [dice.choice([1, 2, 3, 4, 5, 8, 9, 16, 17, 33]) for _ in range(2)]
    return random_call(
        rng, cell, dice.randrange(6), dice.randrange(5), *sizes,
        peephole=dice.random() < 0.5, bidirectional=both, lengths=dice.random() < 0.4,
        resets=dice.random() < 0.3, **options,
    )  # fmt: skip


class Given:
    """The arguments of a call, and what its arrays held."""

    def __init__(self, call: Call, dtype: type) -> None:
        self.x: Any = call.x.astype(dtype)
        self.weights: Any = {name: weight.astype(dtype) for name, weight in call.weights.items()}
        self.state: Any = [part.astype(dtype) for part in call.state]
        self.options: dict[str, Any] = dict(call.options)

    def may_be_changed(self) -> bool:
        """Whether no mistake has taken the place of what another one would change."""
        whole = isinstance(self.weights, dict) and self.weights and isinstance(self.state, list) and self.state
        return bool(whole) and isinstance(self.x, np.ndarray) and self.x.ndim == 3

    def arrays(self) -> Iterator[Array]:
        for value in (self.x, self.weights, self.state, *self.options.values()):
            parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
            for part in parts:
                if isinstance(part, np.ndarray) and part.dtype != object:
                    yield part

    def bytes(self) -> list[bytes]:
        return [array.tobytes() for array in self.arrays()]


def change_one(dice: random.Random, given: Given, change: Callable[[random.Random, Array], Any]) -> None:
    """Lay out or spoil one of the arguments."""
    names = ["x", "weight", "state", *[name for name in ("lengths", "resets") if name in given.options]]
    match dice.choice(names):
        case "x":
            given.x = change(dice, given.x)
        case "weight":
            name = dice.choice(sorted(given.weights))
            given.weights[name] = change(dice, given.weights[name])
        case "state":
            part = dice.randrange(len(given.state))
            given.state[part] = change(dice, given.state[part])
        case name:
            given.options[name] = change(dice, np.asarray(given.options[name]))


def mistake(dice: random.Random, given: Given) -> None:
    """One thing that a fold does not take, or that is right only by luck."""
    some = dice.choice(NOTHING_LIKE)
    match dice.randrange(8):
        case 0 | 1 | 2:
            change_one(dice, given, spoiled)
        case 3:
            given.weights.pop(dice.choice(sorted(given.weights)))
        case 4:
            given.weights[dice.choice(["weight_hr", "ln_ih", "bias", "weight_ih_reverse", "", "é"])] = np.ones((2, 2))
        case 5:
            given.options[dice.choice(["lengths", "resets", "clip", "zoneout", "reverse"])] = some
        case 6:
            given.options["lengths"] = np.array(
                dice.choice([[-1], [10**9], [1 << 62], [-(1 << 63)]]) * given.x.shape[1]
            )
        case _:
            match dice.randrange(3):
                case 0:
                    given.state = given.state[:-1]
                case 1:
                    given.state = some
                case _:
                    given.weights = some


# -- calls -------------------------------------------------------------------------------------------------------------


def agree(what: str, ours: Any, theirs: Any) -> None:
    assert ours.shape == theirs.shape, f"{what}: {ours.shape}, not {theirs.shape}"
    close = CLOSE[ours.dtype]
    np.testing.assert_allclose(ours, theirs, atol=close, rtol=close, err_msg=what)


def expected(call: Call, given: Given) -> tuple[Array, Any]:
    """What memfold.cells computes of the same arguments, in their own type."""
    fold = cells.bidirectional if any(name.endswith("_reverse") for name in given.weights) else cells.fold
    return fold(call.cell, given.x, given.weights, given.state, **given.options)


def fold_right(dice: random.Random) -> str:
    """A right fold, its arrays laid out somehow, into an array of its own or between others; from threads at once."""
    call = random_fold(dice)
    given = Given(call, dice.choice([np.float32, np.float64]))
    for _ in range(dice.randrange(3)):
        change_one(dice, given, laid_out)
    before = given.bytes()
    y, final = expected(call, given)
    out, around = None, None
    if dice.random() < 0.5:
        steps, batch, width = y.shape
        around = np.full((steps + 2, batch + 2, width + 3), CANARY, y.dtype)
        out = around[1:-1, 1:-1, 1 : 1 + width]
    weights = given.weights
    if dice.random() < 0.3:  # packed, what they were packed of is gone
        weights = engine.pack(call.cell, {name: weight.copy() for name, weight in weights.items()}, y.dtype)
        gc.collect()
    results: list[Any] = []

    def run(into: Array | None) -> None:
        results.append(engine.fold(call.cell, given.x, weights, given.state, out=into, **given.options))

    if dice.random() < 0.2:
        threads = [threading.Thread(target=run, args=(None,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(results) == 3, "a thread's call failed"
    run(out)
    for ours, ours_final in results:
        agree("y", ours, y)
        for part, other in zip(ours_final, final, strict=True):
            agree("the final state", part, np.asarray(other))
    if around is not None:
        out[...] = CANARY  # type: ignore[index]
        assert (around == CANARY).all(), "wrote beside out"
    assert given.bytes() == before, "changed an argument"
    return "answered"


def fold_wrong(dice: random.Random) -> str:
    """A fold with one to three mistakes."""
    call = random_fold(dice)
    given = Given(call, dice.choice([np.float32, np.float64]))
    out = None
    if dice.random() < 0.3:
        steps, batch = call.x.shape[:2]
        hidden = call.weights["weight_hh"].shape[1] * (2 if "weight_hh_reverse" in call.weights else 1)
        y = np.full((steps, batch, hidden), CANARY, given.x.dtype)
        out = dice.choice([laid_out, spoiled])(dice, y)
        if dice.random() < 0.2 and given.x.shape == y.shape:
            out = given.x  # in place
    for _ in range(dice.randrange(1, 4)):
        if given.may_be_changed():
            mistake(dice, given)
    before = given.bytes() if out is not given.x else None
    try:
        if dice.random() < 0.3:
            cell = dice.choice([call.cell, dice.choice(sorted(CELLS)), "nonsense", ""])
            engine.trace(cell, given.x, given.weights, given.state, **given.options)
            return "answered"
        y, _ = engine.fold(call.cell, given.x, given.weights, given.state, out=out, **given.options)
    except REFUSALS:
        return "refused"
    if before is not None:
        assert given.bytes() == before, "changed an argument"
        try:
            theirs = expected(call, given)[0]
        except REFUSALS as refusal:
            raise AssertionError(f"answered what memfold.cells refuses: {refusal}") from None
        agree("what should not have been answered", y, theirs)
    return "answered"


def pack_wrong(dice: random.Random) -> str:
    """Weights packed for another cell or type, and folded as if they were right."""
    call = random_fold(dice)
    given = Given(call, np.float32)
    change_one(dice, given, dice.choice([laid_out, spoiled]))
    try:
        packed = engine.pack(
            dice.choice([call.cell, *sorted(CELLS), "linear", ""]), given.weights,
            dice.choice([np.float32, np.float64, np.float16, np.int32, "x", None]), bfloat16=dice.choice([True, False]),
        )  # fmt: skip
        precision = dice.choice([None, None, "float32", "bfloat16", "half"])
        engine.fold(call.cell, given.x, packed, given.state, precision=precision, **given.options)
    except REFUSALS:
        return "refused"
    return "answered"


def random_stream(dice: random.Random) -> tuple[Stream, Any]:
    """A stream, and the folds that it must agree with."""
    rng = np.random.default_rng(dice.randrange(1 << 32))
    dtype, width = dice.choice([np.float32, np.float64]), dice.choice([1, 3, 8, 17])
    layers = []
    for _ in range(dice.randrange(1, 4)):
        cell, hidden = dice.choice(sorted(CELLS)), dice.choice([1, 2, 4, 9, 16, 33])
        weights = random_call(rng, cell, 1, 1, width, hidden).weights
        layers.append(Layer(cell, {name: weight.astype(dtype) for name, weight in weights.items()}))
        width = hidden
    return Stream(layers, streams=dice.randrange(1, 4), dtype=dtype), layers


def stream_right(dice: random.Random) -> str:
    """Steps of a stream, into arrays between others, whose weights are gone meanwhile; a reset; a state put back."""
    stream, layers = random_stream(dice)
    x = np.random.default_rng(dice.randrange(1 << 32)).standard_normal((5, stream.streams, stream.input_size))
    y: Array = x.astype(stream.dtype)
    for layer in layers:
        y, _ = cells.fold(layer.cell, y, layer.weights)
    for layer in layers:
        for weight in layer.weights.values():
            weight[...] = np.nan  # the stream packed its own
    around = np.full((stream.streams + 2, stream.output_size + 3), CANARY, stream.dtype)
    out = around[1:-1, 1 : 1 + stream.output_size]
    for t, x_t in enumerate(x):
        agree("a step", stream.step(laid_out(dice, x_t.astype(stream.dtype)), out=out).copy(), y[t])
        out[...] = CANARY
        assert (around == CANARY).all(), "wrote beside out"
        if dice.random() < 0.2:
            stream.state = stream.state
    stream.reset()
    agree("the first step again", stream.step(x[0]), y[0])
    return "answered"


def stream_wrong(dice: random.Random) -> str:
    """Steps, states and resets that a stream does not take; afterwards it still steps."""
    stream, _ = random_stream(dice)
    x = np.ones((stream.streams, stream.input_size), stream.dtype)
    first = stream.step(x).copy()
    out = np.zeros((stream.streams, stream.output_size), stream.dtype)
    outcome = "refused"
    stack = stream._stack
    calls: tuple[Callable[[], Any], ...] = (
        lambda: stream.step(spoiled(dice, x)),
        lambda: stream.step(x, out=spoiled(dice, out)),
        lambda: stream.step(x, out=laid_out(dice, out)),
        lambda: stack.step(spoiled(dice, x), out),
        lambda: stack.step(x, spoiled(dice, out)),
        lambda: setattr(stream, "state", dice.choice([*NOTHING_LIKE, stream.state[1:], [[spoiled(dice, out)]]])),
        lambda: stream.reset(dice.choice([[-1], [10**30], [stream.streams], ["a"], [0.5], 3, [None]])),
        lambda: stack.set(0, 0, dice.choice(NOTHING_LIKE)),
        lambda: stack.get(0, 0, dice.choice(NOTHING_LIKE)),
        lambda: stack.add(dice.choice(NOTHING_LIKE), 1.0, ()),
        lambda: _engine.StackFloat(dice.choice(["a", None, 1.5])),
        lambda: _engine.pack("lstm", False, False, dice.choice(NOTHING_LIKE), (0,) * 5),
        lambda: _engine.pack(dice.choice(["", "LSTM", "x" * 1000, "\0"]), False, False, (1, 1), (0,) * 5),
        lambda: _engine.fold(dice.choice(NOTHING_LIKE), dice.choice(NOTHING_LIKE), [], 1),
        lambda: Stream(dice.choice([[], [None], 3, [Layer("lstm", {})]])),
        lambda: Stream(stream.layers, {"weight": spoiled(dice, out)}),
        lambda: Stream(stream.layers, streams=dice.choice([0, -1, "a", 1.5])),
        lambda: Stream(stream.layers, dtype=dice.choice(["f2", "i4", "O", None, "nonsense"])),
    )
    for _ in range(3):
        try:
            dice.choice(calls)()
            outcome = "answered"
        except (*REFUSALS, AttributeError):  # the latter of what is no layer at all
            pass
    stream.reset()
    agree("a step after all that", stream.step(x), first)
    return outcome


KINDS: dict[str, Callable[[random.Random], str]] = {
    kind.__name__: kind for kind in (fold_right, fold_wrong, pack_wrong, stream_right, stream_wrong)
}


def tried(name: str, seed: int) -> tuple[str, str]:
    """Make the call of a seed: "answered", "refused", or "wrong" with what was wrong."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return KINDS[name](random.Random(seed)), ""
    except Exception:
        return "wrong", traceback.format_exc(limit=-4)


def main() -> int:
    """Make random calls; 1 where one was wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--calls", type=int, help="of each kind, in place of --minutes")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    names = options.kinds or list(KINDS)
    counts: dict[str, Counter[str]] = {name: Counter() for name in names}
    seed, end = options.seed * 10**9, time.monotonic() + 60 * options.minutes
    while seed % 10**9 < options.calls if options.calls else time.monotonic() < end:
        for name in names:
            outcome, message = tried(name, seed)
            counts[name][outcome] += 1
            if outcome == "wrong" and counts[name]["wrong"] <= 3:
                print(f"{name}, seed {seed}:\n{message}", flush=True)
        seed += 1
    for name, count in counts.items():
        print(f"{name:12} {count.total():9,} calls: {count['answered']:,} answered, {count['refused']:,} refused")
    wrong = sum(count["wrong"] for count in counts.values())
    print(f"{sum(count.total() for count in counts.values()):,} calls, {wrong} wrong; {engine.isa()}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""ONNX Runtime beside memfold's runtime on a model that exports.py fitted and exported; neither needs torch.

Both do the same work in turns, on one thread each; the best of several rounds.

python benchmarks/exports_speed.py '{"name": "generate", "folder": "exports"}'
"""

import json
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from memfold import engine
from memfold.data.datasets import find
from memfold.data.features import FrameStream
from memfold.runtime import load
from memfold.runtime.forecasting.windows import SeriesArrays
from memfold.runtime.hearing.level import floored
from memfold.runtime.hearing.search import log_softmax
from memfold.runtime.texts.part import PartLabelling
from memfold.stream import Stream

ROUNDS, SECONDS = 15, 0.1  # of a turn, about
STEPS = 200
TEXTS = 100
TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64}
Array = NDArray[Any]
Work = Callable[[], Array]


@dataclass(frozen=True)
class Pair:
    """The same work by both runtimes: so many answers at a call."""

    what: str
    form: str
    memfold: Work
    onnx: Work
    count: int


class OnnxPart:
    """An exported part on one thread, whose state goes round."""

    def __init__(self, file: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self.session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        self.outputs = [output.name for output in self.session.get_outputs()]
        properties = self.session.get_modelmeta().custom_metadata_map
        state: dict[str, str] = json.loads(properties.get("state", "{}"))
        self.carried = [(self.outputs.index(output), name) for output, name in state.items()]
        entries = {entry.name: entry for entry in self.session.get_inputs()}
        self.names = set(entries)
        self.zeros: dict[str, Array] = {}
        for _, name in self.carried:
            shape = [size if isinstance(size, int) else 1 for size in entries[name].shape]
            self.zeros[name] = np.zeros(shape, TYPES[entries[name].type])
        self.reset()

    def reset(self) -> None:
        """Forget all that was read."""
        self.state = dict(self.zeros)

    def step(self, **given: Array) -> list[Any]:
        """The outputs, in their order."""
        outputs: list[Any] = self.session.run(None, {**given, **self.state})
        self.state = {name: outputs[place] for place, name in self.carried}
        return outputs

    def run(self, **given: Array) -> dict[str, Array]:
        """The outputs by name; inputs that the file does not have are left out."""
        outputs = self.session.run(None, {name: value for name, value in given.items() if name in self.names})
        return dict(zip(self.outputs, outputs, strict=True))


def files(job: dict[str, Any], part: str = "model") -> Iterator[tuple[str, Path]]:
    """A part's files, by the form of the export."""
    for to in ("onnx", "step"):
        place = Path(job["folder"]) / "exported" / job["name"] / to
        for file in (place / f"{part}.onnx", place / "model" / f"{part}.onnx"):
            if file.is_file():
                yield to, file


# -- the tasks --------------------------------------------------------------------------------------------------


def anomaly(pipeline: Any, job: dict[str, Any]) -> Iterator[Pair]:
    """The detector's network at every reading."""
    count = pipeline.settings.size.count
    rows = np.random.default_rng(0).normal(size=(STEPS, count)).astype(np.float32)
    stream = Stream(pipeline.layers, pipeline.head)

    def by_stream() -> Array:
        stream.reset()
        # The head's second half, log-scales, is clipped by whoever reads it.
        y = np.stack([stream.step(x).copy() for x in rows])
        return np.concatenate([y[:, : y.shape[1] // 2], y[:, y.shape[1] // 2 :].clip(-5, 4)], 1)

    for form, file in files(job):
        part = OnnxPart(file)

        def by_part(part: OnnxPart = part) -> Array:
            part.reset()
            return np.stack([np.concatenate(part.step(x=x[None, None])[:2], -1)[0, 0] for x in rows])

        yield Pair("a reading through the network", form, by_stream, by_part, STEPS)


def generate(pipeline: Any, job: dict[str, Any]) -> Iterator[Pair]:
    """The logits after every token."""
    tokens = np.random.default_rng(0).integers(pipeline.vocabulary.size, size=STEPS)
    reader = pipeline.reader()

    def by_reader() -> Array:
        reader.reset()
        return np.stack([reader.step(token).copy() for token in tokens])

    for form, file in files(job):
        part = OnnxPart(file)

        def by_part(part: OnnxPart = part) -> Array:
            part.reset()
            return np.stack([part.step(tokens=token.reshape(1, 1))[0][0, 0] for token in tokens])

        yield Pair("a token through the network", form, by_reader, by_part, STEPS)


def sentiment(pipeline: Any, job: dict[str, Any]) -> Iterator[Pair]:
    """Whole texts, cut into tokens and n-grams by memfold for both."""
    lines = (find("sst2") / "stsa.binary.test").read_text(encoding="utf-8").splitlines()
    texts = [line.partition(" ")[2] for line in lines[:TEXTS]]
    for form, file in files(job):
        by_part = PartLabelling(OnnxPart(file).run, pipeline.encoder, pipeline.ngrams, len(pipeline.settings.classes))
        for what, blocks in (("a text by itself", [[text] for text in texts]), ("a text among 100", [texts])):
            works = [
                lambda answers=one.answers, blocks=blocks: np.concatenate([answers(b).probabilities for b in blocks])
                for one in (pipeline, by_part)
            ]
            yield Pair(what, form, works[0], works[1], len(texts))


def hearing(pipeline: Any, job: dict[str, Any]) -> Iterator[Pair]:
    """The network of a stream at every step, and the frames of a step's sound."""
    transcribes = job["name"].startswith("transcribe")
    for form, file in files(job, "step"):
        part = OnnxPart(file)
        width = next(entry for entry in part.session.get_inputs() if entry.name == "frames").shape[1]
        samples = np.random.default_rng(0).normal(0, 0.1, (STEPS * width + 8) * pipeline.features.shift)
        frames = pipeline.features.of(samples.astype(np.float32)).astype(np.float16).astype(np.float32)
        hops = frames[: len(frames) // width * width].reshape(-1, width, frames.shape[1])
        settle = log_softmax if transcribes else np.copy

        def by_listener(hops: Array = hops, settle: Any = settle) -> Array:
            listener = pipeline.listeners().open()
            given = (listener.push(hop if transcribes else floored(hop)) for hop in hops)
            return np.stack([settle(y) for rows in given for y in rows])[: len(hops) - 1]

        def by_part(part: OnnxPart = part, hops: Array = hops, width: int = width) -> Array:
            part.reset()
            count = np.array([width])
            answers = [part.step(frames=hop[None], count=count)[0][0] for hop in hops]
            return np.stack(answers[:-1] if transcribes else answers[1:])

        yield Pair("a step of the network", form, by_listener, by_part, len(hops))
    for form, file in files(job, "front"):
        yield fronts(pipeline, OnnxPart(file), form)


def fronts(pipeline: Any, part: OnnxPart, form: str) -> Pair:
    """The frames of one step's samples after another."""
    features, window = pipeline.features, part.session.get_inputs()[0].shape[1]
    hop = window - features.length + features.shift
    samples = np.random.default_rng(0).normal(0, 0.1, STEPS * hop + window).astype(np.float32)

    def by_stream() -> Array:
        stream = FrameStream(features)
        blocks = np.split(samples, range(hop, len(samples), hop))
        frames = [frame for block in blocks for frame in stream.push(block)]
        return np.stack(frames[: STEPS * (hop // features.shift)])

    def by_part() -> Array:
        cuts = [samples[None, begin : begin + window] for begin in range(0, STEPS * hop, hop)]
        return np.concatenate([part.step(samples=cut)[0][0] for cut in cuts])

    return Pair("the frames of a step", form, by_stream, by_part, STEPS)


def forecast(pipeline: Any, job: dict[str, Any]) -> Iterator[Pair]:
    """Whole answers, of one series and of 32 at once."""
    size, random = pipeline.size, np.random.default_rng(0)
    for form, file in files(job):
        part = OnnxPart(file)
        for batch in (1, 32):
            rows = size.context + size.horizon
            data = SeriesArrays(
                50 + 10 * random.normal(size=batch * rows),
                random.normal(size=(batch * rows, size.past)).astype(np.float32),
                random.normal(size=(batch * rows, size.known)).astype(np.float32),
                random.normal(size=(batch, size.static)).astype(np.float32),
                np.arange(batch) * rows,
                np.full(batch, size.context),
            )
            windows = data.windows(data.ends(), size, target=False)
            given = {"y": windows.y, "past": windows.past, "known": windows.known, "static": windows.static}
            by_model = lambda data=data: pipeline.forecasts(data)[0].quantiles  # noqa: E731
            by_part = lambda part=part, given=given: part.run(**given)["quantiles"]  # noqa: E731
            yield Pair(f"a series, {batch} at once", form, by_model, by_part, batch)


# -- timing -----------------------------------------------------------------------------------------------------


def timed(pair: Pair) -> dict[str, Any]:
    """Microseconds of an answer by each, and the largest difference between both."""
    answers = pair.memfold(), pair.onnx()
    difference = float(np.abs(np.asarray(answers[0], float) - answers[1]).max())
    best: list[float] = []
    works = (pair.memfold, pair.onnx)
    calls = [max(1, round(SECONDS / seconds(work, 1))) for work in works]
    for _ in range(ROUNDS):
        turn = [seconds(work, count) / count for work, count in zip(works, calls, strict=True)]
        best = [min(old, new) for old, new in zip(best or turn, turn, strict=True)]
    ours, theirs = (1e6 * each / pair.count for each in best)
    return {"what": pair.what, "form": pair.form, "memfold": ours, "onnx": theirs, "difference": difference}


def seconds(work: Work, count: int) -> float:
    """Of so many calls."""
    begun = time.perf_counter()
    for _ in range(count):
        work()
    return time.perf_counter() - begun


def machine() -> str:
    """What it was measured on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else ():
        if line.startswith("model name"):
            cpu = line.split(":")[1].strip()
            break
    return f"{cpu}, {engine.isa()}; ONNX Runtime {onnxruntime.__version__}, NumPy {np.__version__}"


def main() -> None:
    """Time one model, and print microseconds as JSON.

    Raises:
        RuntimeError: the model or its export is not there, or something has loaded torch.
    """
    job = json.loads(sys.argv[1])
    engine.set_num_threads(1)
    ways = {"anomaly": anomaly, "generate": generate, "sentiment": sentiment, "forecast": forecast}
    pipeline = load(Path(job["folder"]) / "models" / job["name"])
    rows = [timed(pair) for pair in ways.get(job["name"], hearing)(pipeline, job)]
    if not rows or "torch" in sys.modules:
        raise RuntimeError("torch was loaded" if rows else "there is no export to time; run the task cells first")
    print(json.dumps({"machine": machine(), "rows": rows}))


if __name__ == "__main__":
    main()

"""Models answer in a process where torch cannot be imported, to the bit as beside it."""

import contextlib
import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from command_line import run_here
from memfold.data.audio import read_audio
from memfold.errors import InputError
from memfold.export import export
from memfold.runtime import load
from memfold.tasks import load as load_task
from tasks.small import SMALL, Small, tone

RUNTIME = ("anomaly", "command", "generate", "sentiment", "transcribe")
# A process in which there is no torch; what is printed on standard output is its answer.
BLOCKED = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, *rest):
        return None if name.partition(".")[0] == "torch" else self.finder.find_spec(name, *rest)
    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path = [Without(finder) for finder in sys.meta_path]
sys.argv = ["memfold", *sys.argv[1:]]
from memfold.cli import run
code = run()
assert "torch" not in sys.modules
sys.exit(code)
"""


@pytest.fixture(scope="module", params=RUNTIME)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """A small model's folder, and what it was fitted to."""
    folder = tmp_path_factory.mktemp(request.param)
    small = SMALL[request.param](folder)
    if small.name == "transcribe":
        small.parameters["causal"] = True
    model = small.fitted()
    if small.name == "command":
        model.threshold_ = -3.0  # so that something is heard
    model.save(folder / "model")
    return folder / "model", small


def alone(*arguments: str, given: bytes = b"") -> bytes:
    done = subprocess.run([sys.executable, "-c", BLOCKED, *arguments], input=given, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def beside(*arguments: str, given: bytes = b"") -> bytes:
    """What this process answers, in which there is torch."""
    assert "torch" in sys.modules
    done = run_here(*arguments, given=given)
    assert done.returncode == 0, done.stderr
    return done.stdout.encode()


def input_of(small: Small) -> Path:
    """What is streamed into a model."""
    return Path(small.X[0] if small.name in ("command", "transcribe") else small.data[0])


def test_predict(saved) -> None:  # type: ignore[no-untyped-def]
    model, small = saved
    assert alone("predict", str(model), *small.data) == beside("predict", str(model), *small.data)


def test_evaluate(saved) -> None:  # type: ignore[no-untyped-def]
    model, small = saved
    first, second = (json.loads(run("evaluate", str(model), *small.data, "--json")) for run in (alone, beside))
    for one in (first, second):
        one["seconds"] = one["metrics"]["real_time_factor"] = 0  # which differ
    assert first == second
    assert first["parameters"] == sum(weight.numel() for weight in load_task(model).network_.parameters())


def test_stream(saved) -> None:  # type: ignore[no-untyped-def]
    model, small = saved
    given = input_of(small).read_bytes()
    answers = alone("stream", str(model), given=given)
    assert answers == beside("stream", str(model), given=given)
    assert len(answers.splitlines()) >= (1 if small.name in ("command", "transcribe") else 10)
    assert (b'"score"' in answers) == (small.name == "anomaly")


def test_a_session_is_resumed(saved) -> None:  # type: ignore[no-untyped-def]
    model, small = saved
    pipeline = load(model)
    if pipeline.hears:
        sound = np.concatenate([read_audio(path, pipeline.rate) for path in small.X])
        inputs = np.array_split(sound, 37)
    else:
        inputs = input_of(small).read_text().splitlines()[:120]
    whole, first = pipeline.open(), pipeline.open()
    expected = [whole.push(one) for one in inputs]
    before = [first.push(one) for one in inputs[:20]]
    second = load(model).resume(first.state)
    assert before + [second.push(one) for one in inputs[20:]] == expected
    assert second.state == whole.state
    assert second.finish() == whole.finish()


def test_a_text_is_labelled_alike_whatever_stands_beside_it(tmp_path: Path) -> None:
    model = SMALL["sentiment"](tmp_path).fitted()
    texts = ["good", "", "a bad day, and a long one too", "好的", "good bad good"]
    alone = [model.pipeline.answer(text)[0] for text in texts]
    assert model.pipeline.answer(texts) == alone
    assert alone[1]["label"] is None


@pytest.mark.parametrize("broken", [b"", b"{}", b"\x08" + b"\0" * 7 + b"{}      "])
def test_what_is_no_state_is_refused(saved, broken: bytes) -> None:  # type: ignore[no-untyped-def]
    model, _ = saved
    pipeline = load(model)
    with pytest.raises(InputError, match="not the state of a session"):
        pipeline.resume(broken)


def test_a_damaged_state_is_refused_or_resumed(saved) -> None:  # type: ignore[no-untyped-def]
    model, small = saved
    pipeline = load(model)
    session = pipeline.open()
    inputs = [read_audio(small.X[0], pipeline.rate)] if pipeline.hears else input_of(small).read_text().splitlines()[:3]
    for one in inputs:
        session.push(one)
    state, rng = session.state, np.random.default_rng(0)
    for _ in range(150):
        place, size = int(rng.integers(min(len(state), 4000))), int(rng.integers(1, 6))
        damaged = state[:place] + rng.bytes(size) + state[place + int(rng.integers(0, 6)) :]
        with contextlib.suppress(InputError):
            pipeline.resume(damaged)


def test_a_state_of_another_model_is_refused(tmp_path: Path) -> None:
    first, second = (SMALL[name](tmp_path).fitted().pipeline for name in ("anomaly", "generate"))
    with pytest.raises(InputError, match="one of another model"):
        first.resume(second.open().state)


def test_a_model_that_needs_torch_says_so(tmp_path: Path) -> None:
    SMALL["translate"](tmp_path).fitted().save(tmp_path / "model")
    with pytest.raises(InputError, match="which takes torch"):
        load(tmp_path / "model")


def test_what_needs_torch_says_so_in_one_line(tmp_path: Path) -> None:
    small = SMALL["translate"](tmp_path)
    small.fitted().save(tmp_path / "model")
    command = [sys.executable, "-c", BLOCKED, "predict", str(tmp_path / "model"), *small.data]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "memfold: this needs torch, which is not installed: pip install 'memfold[train]'"
    ]


def test_parameters_that_are_set_later_count(tmp_path: Path) -> None:
    small = SMALL["anomaly"](tmp_path)
    small.fitted().save(tmp_path / "model")
    model = load_task(tmp_path / "model")
    few = model.predict(small.data[0])["alarm"].sum()
    assert model.set_params(false_alarms=500.0, rest=1).predict(small.data[0])["alarm"].sum() > few
    assert "network_" not in vars(model)


def test_a_forecast_is_predicted_alike(tmp_path: Path) -> None:
    small = SMALL["forecast"](tmp_path)
    small.fitted().save(tmp_path / "model")
    arguments = ("predict", str(tmp_path / "model"), *small.data)
    assert alone(*arguments) == beside(*arguments)


def test_speech_is_read_in_both_directions(tmp_path: Path) -> None:
    small = SMALL["transcribe"](tmp_path)
    small.parameters |= {"beam": 4, "augment": False, "lr": 2e-2}
    small.fitted(budget="40ep").save(tmp_path / "model")
    long = tone(tmp_path / "long.wav", 400, 12.0)
    answers = alone("predict", str(tmp_path / "model"), *small.X, long)
    assert answers == beside("predict", str(tmp_path / "model"), *small.X, long)
    pipeline, task = load(tmp_path / "model"), load_task(tmp_path / "model")
    paths = [*small.X, long]
    texts = [pipeline.answer(read_audio(path, pipeline.rate)) for path in paths]
    assert texts == task.predict(paths)["text"].to_list()
    assert any(texts)
    with pytest.raises(InputError, match="in both directions"):
        pipeline.open()


def test_a_loaded_model_that_is_fitted_again_counts_its_new_weights(tmp_path: Path) -> None:
    small = SMALL["anomaly"](tmp_path)
    small.fitted().save(tmp_path / "model")
    model = load_task(tmp_path / "model")
    count = model.parameter_count
    model.set_params(hidden_size=6).fit(small.X, budget="1ep", progress=False)
    assert model.parameter_count == sum(weight.numel() for weight in model.network_.parameters()) != count


@pytest.mark.release
@pytest.mark.parametrize("name", ["classify", "detect", "faces", "translate"])
def test_a_model_answers_by_its_exported_parts(name: str, tmp_path: Path) -> None:
    small = SMALL[name](tmp_path)
    model = small.fitted()
    export(model, "runtime", tmp_path / "model")
    (tmp_path / "sentences.txt").write_text("one cat\n\nten fox\n")
    given = {"translate": [str(tmp_path / "sentences.txt")], "detect": [str(path) for path in small.X]}.get(name)
    first, second = (run("predict", str(tmp_path / "model"), *(given or small.data)) for run in (alone, beside))
    assert len(first.splitlines()) >= 3
    if name == "translate":
        assert first == second
        return
    for one, other in zip(*(csv.reader(text.decode().splitlines()) for text in (first, second)), strict=True):
        for left, right in zip(one, other, strict=True):
            try:
                assert float(left) == pytest.approx(float(right), abs=1e-4)
            except ValueError:  # no number
                assert left == right

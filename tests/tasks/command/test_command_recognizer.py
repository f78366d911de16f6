"""The recogniser of commands: files and streams, its threshold, its baseline, its errors."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import soundfile
import torch
from rich.console import Console
from sklearn.linear_model import LogisticRegression

import memfold
from command_line import run_here
from memfold.cli import run
from memfold.data import ffmpeg
from memfold.data.commands import read_commands
from memfold.errors import InputError
from memfold.runtime.hearing.cepstra import cepstral_statistics
from memfold.runtime.hearing.spotting import FIRST_THRESHOLD
from memfold.tasks import CommandRecognizer
from memfold.tasks.command.baselines import CepstralRegression
from memfold.tasks.command.task import MFCC
from tasks.command.sounds import COMMANDS, RATE, sentence, spoken, write_commands, write_noise

SAID = ["up", "down", "flat", "up", "flat", "down"]


def small(**changes: object) -> CommandRecognizer:
    settings = {"rate": RATE, "bins": 24, "channels": 24, "convolutions": 1, "hidden_size": 32, "lr": 1e-2}
    return CommandRecognizer(**{**settings, "batch_size": 8, "dropout": 0.1, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_commands(tmp_path_factory.mktemp("commands"), 24)


@pytest.fixture(scope="module")
def fitted(folder: Path) -> CommandRecognizer:
    return small().fit(folder, budget="40ep", progress=False)


@pytest.fixture(scope="module")
def with_background(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> CommandRecognizer:
    noise = write_noise(tmp_path_factory.mktemp("noise") / "noise.wav")
    return small(background=str(noise)).fit(folder, budget="40ep", progress=False)


def test_the_folders_of_a_split_are_its_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part, each in (("train", 8), ("validation", 4), ("test", 3)):
        write_commands(tmp_path / part, each, seed=each)
    write_noise(tmp_path / "_background_noise_" / "hum.wav")
    parts = small().parts([str(tmp_path)])
    count = len(COMMANDS)
    counts = [len(recordings.paths) for recordings in (parts.train, parts.valid, parts.test)]
    assert counts == [8 * count, 4 * count, 3 * count]
    assert all(recordings.background for recordings in (parts.train, parts.valid, parts.test))
    err = capsys.readouterr().err
    assert f"a split: recordings to train on {8 * count}, to validate on {4 * count}, to score {3 * count}" in err
    model = small().fit(tmp_path, budget="1ep", progress=False)
    assert model.commands_ == sorted(COMMANDS)
    assert model.other_
    assert {path.parent.parent.name for path in model.read(tmp_path).paths} == {"test"}
    train, valid = small().split(small().read(tmp_path))
    assert {path.parent.parent.name for path in train.paths} == {"train"}
    assert {path.parent.parent.name for path in valid.paths} == {"validation"}
    for name in COMMANDS[:2]:
        (tmp_path / "test" / name).rename(tmp_path / "test" / f"new-{name}")
    with pytest.raises(InputError, match=r"the commands 'new-.*', 'new-.*' were not trained on; the model knows "):
        small().parts([str(tmp_path)])


def wav(samples: np.ndarray) -> io.BytesIO:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="WAV")
    file.seek(0)
    return file


# -- files -----------------------------------------------------------------------------------------------------


def test_it_learns_the_commands(fitted: CommandRecognizer, tmp_path: Path) -> None:
    report = fitted.evaluate(read_commands(write_commands(tmp_path, 10, seed=5)))
    assert report.metrics["accuracy"] > 90
    assert set(report.metrics) == {"accuracy", "ece", "miss_rate"}
    assert set(report.baselines[MFCC]) == {"accuracy", "ece"}
    shown = Console(width=100, file=io.StringIO())
    for item in report.shown:
        shown.print(item)
    text = shown.file.getvalue()  # type: ignore[attr-defined]
    assert "Answers by true command" in text
    assert "µs of one core for each frame" in text


def test_answers_are_a_table_of_files_labels_and_probabilities(fitted: CommandRecognizer, folder: Path) -> None:
    table = fitted.predict([folder / "up", folder / "flat" / "s0_nohash_0.wav"])
    assert table.columns == ["file", "label", "p_down", "p_flat", "p_up"]
    assert table.height == 25
    np.testing.assert_allclose(table.select("p_down", "p_flat", "p_up").sum_horizontal(), 1, atol=1e-6)
    assert table["label"].to_list()[-1] == "flat"


def test_stereo_and_other_rates_are_brought_to_the_models_rate(fitted: CommandRecognizer, tmp_path: Path) -> None:
    samples = np.repeat(spoken("up", 560, np.random.default_rng(3)), 2)
    soundfile.write(tmp_path / "up.wav", np.stack([samples, samples], 1), 2 * RATE)
    assert fitted.predict([tmp_path / "up.wav"])["label"].item() == "up"


def test_a_speaker_who_was_held_out_has_an_accuracy_of_that_name(folder: Path) -> None:
    model = small(holdout="s2")
    parts = model.parts([str(folder)])
    assert set(parts.test.speakers) == {"s2"}
    report = model.fit(parts.train, budget="1ep", progress=False).evaluate(parts.test)
    assert report.metrics["accuracy_heldout_speaker"] == report.metrics["accuracy"]
    assert "accuracy_heldout_speaker" in report.baselines[MFCC]
    assert "accuracy_heldout_speaker" not in model.evaluate(parts.train).metrics


def test_the_baseline_answers_as_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    for commands in (2, 3):
        x = rng.normal(5, 3, (60, 7)).astype(np.float32)
        labels = np.arange(60) % commands
        x[:, 0] += 4 * labels
        theirs = LogisticRegression(C=0.1, max_iter=5000).fit((x - x.mean(0)) / x.std(0), labels)
        ours = CepstralRegression.fit(x, labels, commands).log_probabilities(x)
        np.testing.assert_allclose(ours, theirs.predict_log_proba((x - x.mean(0)) / x.std(0)), atol=1e-4)


def test_the_baseline_hears_quiet_commands_in_silence() -> None:
    labels = np.arange(90) % len(COMMANDS)
    recordings = [sentence([COMMANDS[label]], seed, gap=0.1) for seed, label in enumerate(labels)]
    usual = np.stack([cepstral_statistics(samples, RATE) for samples in recordings])
    quiet = np.zeros(RATE, np.float32)
    other = np.stack([cepstral_statistics(np.concatenate([quiet, x / 10, quiet]), RATE) for x in recordings[60:]])
    model = CepstralRegression.fit(usual[:60], labels[:60], len(COMMANDS))
    assert (model.log_probabilities(other).argmax(1) == labels[60:]).mean() > 0.8


def test_statistics_of_a_recording_of_one_frame_are_finite() -> None:
    assert np.isfinite(cepstral_statistics(np.zeros(200, np.float32), RATE)).all()


# -- streams ---------------------------------------------------------------------------------------------------


def test_a_stream_tells_what_is_said_and_when(fitted: CommandRecognizer) -> None:
    events = [json.loads(line) for line in fitted.listen(wav(sentence(SAID)))]
    assert [event["command"] for event in events] == SAID
    for k, event in enumerate(events):
        begin = 0.8 + k * 1.15
        assert begin < event["time"] < begin + 0.7
        assert 1 / (1 + np.exp(-fitted.threshold_)) - 1e-4 <= event["probability"] <= 1


@pytest.fixture(scope="module", params=[1, 2])
def eager(folder: Path, request: pytest.FixtureRequest) -> CommandRecognizer:
    """Hears a command in whatever it can."""
    model = small(convolutions=request.param).fit(folder, budget="8ep", progress=False)
    model.threshold_ = -1.0
    return model


@pytest.mark.parametrize("cut", [0, 1100, 5600])
def test_a_stream_gives_the_events_of_the_whole_file(eager: CommandRecognizer, cut: int) -> None:
    samples = sentence([*SAID, *SAID], seed=1, gap=0.3)[: -cut or None]
    whole = eager.detect(samples)
    streamed = list(eager.hear_out(iter(np.array_split(samples, 97))))
    assert len(whole) > 3
    assert [(e.step, e.command) for e in streamed] == [(e.step, e.command) for e in whole]
    assert [e.probability for e in streamed] == pytest.approx([e.probability for e in whole], abs=1e-4)


def test_raw_samples_are_heard_as_a_file_is(fitted: CommandRecognizer) -> None:
    samples = np.round(32767 * sentence(SAID)).astype("<i2")
    raw = list(fitted.listen(io.BytesIO(samples.tobytes())))
    assert raw
    assert raw == list(fitted.listen(wav(samples)))


def test_digital_silence_is_no_command(fitted: CommandRecognizer) -> None:
    assert fitted.detect(np.zeros(5 * RATE, np.float32)) == []
    assert list(fitted.listen(wav(np.zeros(100, np.float32)))) == []


def test_no_torch_is_called_in_a_stream(fitted: CommandRecognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = iter(np.array_split(sentence(SAID), 50))
    heard = fitted.hear_out(blocks)
    first = next(heard)
    monkeypatch.setattr(torch.Tensor, "numpy", None)
    monkeypatch.setattr(torch.nn.Module, "__call__", None)
    assert [first.command, *(event.command for event in heard)] == [COMMANDS.index(said) for said in SAID]


# -- background ------------------------------------------------------------------------------------------------


def test_background_is_the_class_other_and_its_alarms_are_counted(
    with_background: CommandRecognizer, folder: Path, tmp_path: Path
) -> None:
    assert with_background.classes_ == ["down", "flat", "up", "other"]
    noise = write_noise(tmp_path / "heard" / "noise.wav", seconds=1, seed=9)
    assert with_background.predict([noise])["label"].item() == "other"
    assert with_background.predict([folder / "up"])["label"].to_list().count("up") > 20
    parts = with_background.parts([str(folder)])
    metrics = with_background.evaluate(parts.test).metrics
    assert {"false_alarms_per_hour", "miss_rate"} <= set(metrics)
    assert metrics["miss_rate"] <= 50


def test_background_in_the_folder_is_found(folder: Path, tmp_path: Path) -> None:
    write_commands(tmp_path, 4)
    write_noise(tmp_path / "_background_noise_" / "noise.wav", 10)
    model = small().fit(str(tmp_path), budget="1ep", progress=False)
    assert model.other_
    assert "false_alarms_per_hour" in model.evaluate(read_commands(tmp_path)).metrics


def test_no_more_false_alarms_than_asked_for_in_what_the_threshold_was_set_on(folder: Path, tmp_path: Path) -> None:
    """Background in which commands are said makes alarms at any threshold but a high one."""
    soundfile.write(tmp_path / "said.wav", np.tile(sentence(SAID), 4), RATE)
    thresholds = []
    for allowed in (1e5, 0.0):
        model = small(background=str(tmp_path / "said.wav"), false_alarms=allowed)
        model.fit(folder, budget="8ep", progress=False)
        thresholds.append(model.threshold_)
    assert thresholds[0] == FIRST_THRESHOLD
    assert thresholds[1] >= FIRST_THRESHOLD


# -- fitting -----------------------------------------------------------------------------------------------------


def test_a_saved_model_hears_the_same(with_background: CommandRecognizer, folder: Path, tmp_path: Path) -> None:
    with_background.save(tmp_path / "m")
    again = memfold.load(tmp_path / "m")
    assert isinstance(again, CommandRecognizer)
    assert again.detect(sentence(SAID)) == with_background.detect(sentence(SAID))
    ours, theirs = again.evaluate(read_commands(folder)), with_background.evaluate(read_commands(folder))
    assert (ours.metrics, ours.baselines) == (theirs.metrics, theirs.baselines)


def test_the_same_seed_gives_the_same_model(folder: Path) -> None:
    def alone(seed: int) -> Any:
        model = small(seed=seed).fit(folder, budget="1ep", progress=False)
        return model.answer(model.inputs([folder])).alone

    one, two, three = (alone(seed) for seed in (4, 4, 5))
    assert (one == two).all()
    assert not np.allclose(one, three)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 0}, "hidden_size must be at least 1"),
        ({"rate": 100}, "rate must be at least 4000"),
        ({"dropout": 1.0}, "dropout must be below 1"),
        ({"window": 0.0}, "window must be above 0"),
        ({"window": 0.9}, r"window must be at most refractory, got 0\.9 and 0\.6"),
        ({"false_alarms": -1.0}, "false_alarms must be at least 0"),
        ({"bins": 900}, "bins must be fewer for a rate of 8000, got 900"),
        ({"holdout": "nobody"}, "no recording of the speaker 'nobody'; known: s0, s1"),
    ],
)
def test_parameters_out_of_range_are_named(folder: Path, changes: dict[str, object], message: str) -> None:
    model = small(**changes)
    with pytest.raises(InputError, match=message):
        model.fit(model.parts([str(folder)]).train, budget="1ep", progress=False)


def test_files_that_cannot_be_heard_are_left_out_and_named(
    fitted: CommandRecognizer, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_commands(tmp_path / "data", 6)
    soundfile.write(data / "up" / "short.wav", np.zeros(50), RATE)
    (data / "up" / "text.wav").write_bytes(b"not audio")
    model = small().fit(data, budget="1ep", progress=False)
    said = capsys.readouterr().err
    assert "2 of 20 recordings cannot be read and are left out: " in said
    assert "short.wav (shorter than 25 ms)" in said
    assert "text.wav (not readable as audio" in said
    clean = small().fit(write_commands(tmp_path / "clean", 6), budget="1ep", progress=False)
    assert model.predict([folder]).equals(clean.predict([folder]))
    assert fitted.predict([data])["file"].str.contains("short|text").sum() == 0
    assert fitted.evaluate(data).metrics["accuracy"] > 80
    with pytest.raises(
        InputError, match=r"short\.wav \(shorter than 25 ms\): cannot be read, and none of the 1 others"
    ):
        fitted.predict([data / "up" / "short.wav", data / "up" / "text.wav"])


def test_a_command_of_which_nothing_can_be_heard_is_no_command(tmp_path: Path) -> None:
    write_commands(tmp_path, 4)
    (tmp_path / "sideways").mkdir()
    (tmp_path / "sideways" / "1.wav").write_bytes(b"not audio")
    with pytest.raises(InputError, match="no recording of the command 'sideways' can be read"):
        small().fit(tmp_path, budget="1ep", progress=False)


def test_all_labels_that_cannot_be_used_are_named_at_once(fitted: CommandRecognizer, tmp_path: Path) -> None:
    write_commands(tmp_path / "data", 4)
    for label in ("sideways", "sideways", "back"):
        (tmp_path / "data" / label).mkdir(exist_ok=True)
        count = len(list((tmp_path / "data" / label).iterdir()))
        soundfile.write(tmp_path / "data" / label / f"{count}.wav", np.ones(4000) / 9, RATE)
    with pytest.raises(InputError, match=r"the commands 'back' \(1\), 'sideways' \(2\) were not trained on; the model"):
        fitted.evaluate(tmp_path / "data")
    for path in (tmp_path / "data").glob("[sb]*/*.wav"):
        path.write_bytes(b"not audio")
    with pytest.raises(InputError, match="no recording of the commands 'back', 'sideways' can be read"):
        small().fit(tmp_path / "data", budget="1ep", progress=False)


def test_m4a_in_a_folder_is_named_with_the_remedy_and_not_dropped(
    fitted: CommandRecognizer, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ffmpeg, "ffmpeg", lambda: None)
    write_commands(tmp_path, 1)
    for name in ("up/memo.m4a", "flat/voice.aac", "notes.txt"):
        (tmp_path / name).write_bytes(b"\0\0\0\x1cftypM4A \0\0\2\0" + bytes(100))
    assert fitted.predict(tmp_path).height == 3
    said = capsys.readouterr().err
    assert "2 of 5 recordings cannot be read and are left out: " in said
    assert f"ffmpeg -i {tmp_path}/up/memo.m4a {tmp_path}/up/memo.wav" in said


def test_samples_and_tables_of_files_are_predicted_as_the_files_are(fitted: CommandRecognizer, folder: Path) -> None:
    path = folder / "up" / "s0_nohash_0.wav"
    samples, rate = soundfile.read(path)
    expected = fitted.predict(str(path)).drop("file")
    for data in (samples, (samples, rate), [samples], (samples * 32767).round().astype(np.int16)):
        assert fitted.predict(data)["label"].to_list() == expected["label"].to_list()
    twice = fitted.predict([(np.repeat(samples, 2), 2 * rate), path])
    assert twice["file"].to_list() == ["recording 1", str(path)]
    assert twice["label"].to_list() == expected["label"].to_list() * 2
    frame = fitted.predict(pd.DataFrame({"path": [str(path)], "day": ["Monday"]}))
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns)[:4] == ["file", "path", "day", "label"]


def test_a_lower_rate_is_said_once_at_predict_and_at_fit(
    fitted: CommandRecognizer, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (folder / "up").glob("*.wav"):
        soundfile.write(tmp_path / path.name, soundfile.read(path)[0][::2], RATE // 2)
    fitted.predict(tmp_path)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: 24 of 24 recordings (")
    assert "4,000 samples a second, and the model takes 8,000. Above 2,000 Hz" in line
    write_commands(tmp_path / "data", 4)
    soundfile.write(tmp_path / "data" / "up" / "low.wav", np.random.default_rng(0).normal(0, 0.1, 4000), 4000)
    small().fit(tmp_path / "data", budget="1ep", progress=False)
    said = capsys.readouterr().err
    assert "recordings of different rates, samples a second: 4,000 (1), 8,000 (12); all become 8,000" in said
    assert said.count("warning: 1 of 13 recordings (") == 1


def test_who_is_held_out_and_who_was_trained_on_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = small().parts([str(folder)])
    (speaker,) = set(parts.test.speakers)
    assert f"the speaker {speaker} was held out to be scored, with 12 of 72 recordings" in capsys.readouterr().err
    model = small().fit(parts.train, budget="1ep", progress=False)
    capsys.readouterr()
    model.evaluate(parts.test)
    assert "trained on" not in capsys.readouterr().err
    model.evaluate(folder)
    said = capsys.readouterr().err
    assert "warning: 60 of 72 recordings (" in said
    assert "5 speakers (" in said
    few = small().parts([str(write_commands(folder.parent / "two", 6, speakers=2))])
    assert set(few.train.speakers) == set(few.test.speakers)
    assert "2 speakers (s0, s1) were trained on and also scored" in capsys.readouterr().err


def test_background_that_cannot_be_heard_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_commands(tmp_path / "data", 4)
    write_noise(tmp_path / "noise" / "noise.wav", 5)
    (tmp_path / "noise" / "text.wav").write_bytes(b"not audio")
    assert small(background=str(tmp_path / "noise")).fit(tmp_path / "data", budget="1ep", progress=False).other_
    assert "text.wav (not readable as audio" in capsys.readouterr().err
    (tmp_path / "noise" / "noise.wav").write_bytes(b"nor this")
    with pytest.raises(InputError, match="cannot be read, and none of the 1 others"):
        small(background=str(tmp_path / "noise")).fit(tmp_path / "data", budget="1ep", progress=False)


def test_what_cannot_be_worked_with_is_named(fitted: CommandRecognizer, tmp_path: Path) -> None:
    (tmp_path / "strange" / "sideways").mkdir(parents=True)
    soundfile.write(tmp_path / "strange" / "sideways" / "1.wav", np.zeros(4000), RATE)
    with pytest.raises(InputError, match="the command 'sideways' was not trained on; the model knows down, flat, up"):
        fitted.evaluate(read_commands(tmp_path / "strange"))
    with pytest.raises(InputError, match=r"none\.wav: no such file"):
        fitted.predict([tmp_path / "none.wav"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: holds no audio files"):
        fitted.predict(tmp_path / "empty")
    with pytest.raises(InputError, match="not fitted yet"):
        small().detect(np.zeros(4000, np.float32))


# -- files and labels apart --------------------------------------------------------------------------------------


def test_files_and_their_labels_may_come_apart(folder: Path) -> None:
    """As a folder they give the same model: only the speakers are not known then."""
    known = read_commands(folder)
    files = [str(path) for path in known.paths]
    model = small().fit(files, known.labels, budget="2ep", progress=False)
    whole = small().fit(folder, budget="2ep", progress=False)
    assert model.predict(files).equals(whole.predict([folder]))
    assert model.score(files, known.labels) == whole.score(folder)
    assert model.speakers_ == []
    assert np.asarray(model.answer(model.inputs(files))).shape == (len(files), 3)


@pytest.mark.parametrize("column", [np.array, pl.Series, lambda values: np.array(values, object)])
def test_columns_are_as_good_as_lists(folder: Path, column: Callable[[list[str]], Any]) -> None:
    known = read_commands(folder).take(range(9))
    heard = small().labelled(column([str(path) for path in known.paths]), column(known.labels))
    assert (heard.paths, heard.labels) == (known.paths, known.labels)


def test_background_is_learnt_beside_labels_and_not_scored_on(with_background: CommandRecognizer, folder: Path) -> None:
    known, background = read_commands(folder), with_background.background
    model = small(background=background).fit(known.paths, known.labels, budget="1ep", progress=False)
    assert model.classes_[-1] == "other"
    assert "false_alarms_per_hour" not in model.evaluate(folder).metrics
    with pytest.raises(InputError, match="'other' in y: that is what a model calls background"):
        small().fit(known.paths, ["other", *known.labels[1:]], budget="1ep", progress=False)


# -- the command line --------------------------------------------------------------------------------------------


def test_the_command_line_from_end_to_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, model = write_commands(tmp_path / "data", 10), tmp_path / "m"
    settings = ["rate=8000", "bins=20", "channels=16", "hidden_size=16", "convolutions=1"]

    def call(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["memfold", *arguments])
        assert run() == 0
        return capsys.readouterr().out

    sets = [word for text in settings for word in ("--set", text)]
    out = call("fit", "command", str(data), "--out", str(model), "--budget", "2ep", "--json", *sets)
    report = json.loads(out)
    assert report["task"] == "command"
    assert {"accuracy", "accuracy_heldout_speaker", "ece", "miss_rate"} == set(report["metrics"])
    assert report["baseline"]["name"] == MFCC
    assert json.loads(call("evaluate", str(model), str(data), "--json"))["metrics"]["accuracy"] >= 0
    assert call("predict", str(model), str(data / "up")).startswith("file,label,p_down,p_flat,p_up\n")

    class Input:
        buffer = wav(sentence(SAID))

        def isatty(self) -> bool:
            return False

    monkeypatch.setattr(sys, "stdin", Input())
    for line in call("stream", str(model)).splitlines():
        assert set(json.loads(line)) == {"time", "command", "probability"}


def test_text_into_the_stream_of_a_model_that_hears_is_refused(fitted: CommandRecognizer, tmp_path: Path) -> None:
    fitted.save(tmp_path / "m")
    done = run_here("stream", str(tmp_path / "m"), given="ds,y\n2024-01-01,5\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        "memfold: standard input: a text ('ds,y'); expected sound: a WAV file, or raw samples"
    )
    assert "one channel, 8,000 a second" in done.stderr

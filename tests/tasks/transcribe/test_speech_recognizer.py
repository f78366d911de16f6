"""The speech recogniser, end to end on recordings in which every letter is a tone."""

import io
import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

import memfold
from command_line import run_here
from memfold.data import ffmpeg
from memfold.data.audio import read_audio
from memfold.data.speech import read_manifests
from memfold.errors import InputError
from memfold.runtime.hearing.search import Alphabet
from memfold.runtime.hearing.transcribing import LEAST_PART
from memfold.tasks import SpeechRecognizer
from memfold.tasks.transcribe.augment import Surroundings
from memfold.tasks.transcribe.batches import (
    BELOW,
    Augmentation,
    Recordings,
    SpeechProblem,
    log_probabilities,
    stretch,
)
from memfold.tasks.transcribe.network import AcousticNetwork, AcousticSize
from memfold.tasks.transcribe.report import confusions
from memfold.tasks.transcribe.scores import counts_characters, error_rates
from memfold.tasks.transcribe.times import subtitles, table_in_time

RATE = 8000
PITCH = {"a": 400, "b": 800, "c": 1400, "ü": 2400}
SMALL = {
    "rate": RATE,
    "bins": 20,
    "stacked": 3,
    "hidden_size": 32,
    "num_layers": 1,
    "batch_frames": 600,
    "lr": 1e-2,
    "dropout": 0.0,
    "beam": 4,
    "augment": False,
}


def spoken(text, rng):
    sounds = [0.003 * rng.standard_normal(600)]
    for letter in text:
        length = int(rng.integers(700, 1000))
        tone = np.sin(2 * np.pi * PITCH[letter] * np.arange(length) / RATE) if letter in PITCH else np.zeros(length)
        sounds += [0.3 * tone * np.hanning(length), np.zeros(200)]
    whole = np.concatenate(sounds)
    return (whole + 0.003 * rng.standard_normal(len(whole))).astype(np.float32)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    rng = np.random.default_rng(0)
    lines = []
    for k in range(120):
        text = "".join(rng.choice(list("abcü ")) for _ in range(rng.integers(2, 6))).strip() or "a"
        soundfile.write(folder / f"{k}.wav", spoken(text, rng), RATE)
        lines.append(json.dumps({"audio": f"{k}.wav", "text": text}))
    (folder / "all.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "all.jsonl"


@pytest.fixture(scope="module")
def model(manifest):
    return SpeechRecognizer(**SMALL, causal=True).fit(str(manifest), budget="20ep", progress=False)


def test_what_is_said_is_written(model, manifest):
    report = model.evaluate(str(manifest), "tones")
    assert report.metrics["cer"] < 0.1
    assert report.metrics["cer"] < report.baselines["one text for all"]["cer"]
    assert report.metrics["real_time_factor"] < 1


def test_words_and_phrases_have_their_times(model, manifest, tmp_path):
    rng = np.random.default_rng(5)
    pause = np.zeros(int(1.5 * RATE), np.float32)
    soundfile.write(tmp_path / "a.wav", np.concatenate([spoken("ab c", rng), pause, spoken("cba", rng)]), RATE)
    (text,) = model.predict([str(tmp_path / "a.wav")])["text"]
    words = model.answers([str(tmp_path / "a.wav")], times="words")
    assert words.columns == ["audio", "start", "end", "text"]
    assert words["text"].to_list() == text.split()
    starts, ends = words["start"].to_list(), words["end"].to_list()
    assert all(start < end for start, end in zip(starts, ends, strict=True))
    assert starts == sorted(starts)
    assert ends[-1] <= soundfile.info(tmp_path / "a.wav").duration
    phrases = model.answers([str(tmp_path / "a.wav")], times="phrases")
    assert " ".join(phrases["text"]) == text
    assert phrases.height >= 2
    srt = "".join(model.answers([str(tmp_path / "a.wav")], times="srt"))
    assert re.match(r"1\n00:00:0\d,\d{3} --> 00:00:0\d,\d{3}\n\S", srt)
    assert srt.count(" --> ") == phrases.height
    assert "".join(model.answers([str(tmp_path / "a.wav")], times="vtt")).startswith("WEBVTT\n\n1\n00:00:0")
    with pytest.raises(InputError, match=r"120 recordings, but subtitles are of one; give --out FOLDER/ --set times"):
        model.answers([str(manifest)], times="srt")
    soundfile.write(tmp_path / "quiet.wav", np.zeros(RATE, np.float32), RATE)
    quiet = model.answer(model.inputs([str(tmp_path / "quiet.wav")]))
    nothing = replace(quiet, texts=[""])  # whatever it hears there
    heard = model.inputs([str(tmp_path / "quiet.wav")])
    assert "".join(subtitles(model, heard, nothing, "srt")) == ""
    assert table_in_time(model, heard, nothing, whole=False).height == 0
    # The same by the command line, in one file and in one for each recording.
    model.save(tmp_path / "model")
    predict = ["predict", str(tmp_path / "model"), str(tmp_path / "a.wav"), "--out"]
    assert run_here(*predict, str(tmp_path / "a.srt")).returncode == 0
    assert (tmp_path / "a.srt").read_text() == srt
    assert run_here(*predict, f"{tmp_path}/subs/", "--jobs", "1", "--set", "times=vtt").returncode == 0
    assert (tmp_path / "subs" / "a.wav.vtt").read_text().startswith("WEBVTT")


def test_every_character_of_chinese_counts_as_a_word():
    assert error_rates(["早上 好", "ok 好"], ["早上好", "ok 号"])["wer"] == 1 / 5
    assert counts_characters(["ok 好"])
    assert not counts_characters(["good morning"])


def test_a_stream_writes_what_is_written_of_the_whole_recording(model, manifest):
    for k in range(8):
        file = manifest.parent / f"{k}.wav"
        lines = [json.loads(line) for line in model.listen(io.BytesIO(file.read_bytes()))]
        finals = [line for line in lines if "text" in line]
        assert " ".join(line["text"] for line in finals) == model.predict(file)["text"].item()
        times = [line.get("time", line.get("end")) for line in lines]
        assert all(0 <= time < 1 + len(read_audio(file, RATE)) / RATE for time in times)
        assert any("partial" in line for line in lines)


def test_every_step_of_a_stream_is_that_of_the_whole_recording(model, manifest):
    (frames,) = model.inputs(manifest.parent / "0.wav").frames
    (whole,) = log_probabilities(model.network_, [frames])
    listener = model.pipeline.listeners().open()
    live = [listener.push(frame[None]) for frame in frames.astype(np.float32)]
    live = torch.from_numpy(np.concatenate([*live, listener.finish()])).log_softmax(-1)
    torch.testing.assert_close(live, whole, atol=1e-4, rtol=0)


def test_loudness_does_not_change_what_is_written(model, manifest):
    recordings = [soundfile.read(manifest.parent / f"{k}.wav")[0] for k in range(20)]
    usual = model.predict(recordings)["text"].to_list()
    for gain in (0.1, 3.0):
        same = [a == b for a, b in zip(model.predict([gain * x for x in recordings])["text"], usual, strict=True)]
        assert sum(same) >= 18


@pytest.mark.release
def test_what_is_augmented_hears_nothing_in_silence_and_noise(manifest):
    model = SpeechRecognizer(**{**SMALL, "augment": True}, growing=50).fit(str(manifest), budget="20ep", progress=False)
    rng = np.random.default_rng(0)
    sounds = [np.zeros(RATE), *(level * rng.standard_normal(2 * RATE) for level in (1e-3, 1e-2, 0.1))]
    assert model.predict(sounds)["text"].to_list() == [""] * 4


def test_a_long_recording_is_read_in_parts(manifest):
    model = SpeechRecognizer(**SMALL).fit(str(manifest), budget="1ep", progress=False)
    pieces = [soundfile.read(manifest.parent / f"{k}.wav")[0] for k in range(30)]
    (log_p,) = model.answer(model.inputs(np.concatenate(pieces))).log_p
    frames = model.features.count(sum(map(len, pieces)))
    assert frames > 2 * LEAST_PART
    assert 0 <= len(log_p) - frames / model.chosen.stacked < 1 + frames / (LEAST_PART / 3)


@pytest.mark.release
def test_the_rate_is_that_of_the_recordings_unless_one_is_set(manifest):
    settings = {name: value for name, value in SMALL.items() if name != "rate"}
    model = SpeechRecognizer(**settings).fit(str(manifest), budget="1ep", progress=False)
    assert model.plan_["rate"] == model.features.rate == RATE
    assert model.get_params()["rate"] is None
    assert "rate" not in SpeechRecognizer(**settings, rate=4000).fit(str(manifest), budget="1ep", progress=False).plan_


def test_a_second_fit_forgets_the_texts_of_the_first(manifest, tmp_path):
    lines = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    only = [{**own, "audio": str(manifest.parent / own["audio"])} for own in lines if set(own["text"]) <= set("ab")]
    (tmp_path / "ab.jsonl").write_text("\n".join(map(json.dumps, only)), encoding="utf-8")
    model = SpeechRecognizer(**SMALL).fit(str(manifest), budget="1ep", progress=False)
    assert len(model.character_model.after(())) == 1 + len("abcü ")
    model.fit(str(tmp_path / "ab.jsonl"), budget="1ep", valid=str(tmp_path / "ab.jsonl"), progress=False)
    assert len(model.character_model.after(())) == 1 + len("ab")


def test_a_saved_model_keeps_its_texts_and_its_search(model, manifest, tmp_path):
    model.save(tmp_path / "model")
    again = memfold.load(tmp_path / "model")
    assert (again.weights, again.alphabet_.characters) == (model.weights, "".join(sorted("abcü ")))
    assert again.texts_ == model.texts_
    assert again.answers([str(manifest)]).equals(model.answers([str(manifest)]))


def test_the_weights_of_the_search_are_said(manifest, capsys):
    model = SpeechRecognizer(**SMALL).fit(str(manifest), budget="1ep")
    chosen = f"search: language model {model.language_:g}, bonus {model.bonus_:g}: valid CER "
    assert chosen in capsys.readouterr().err
    assert model.set_params(beam=1).weights.beam == 1


def test_a_model_of_both_directions_does_not_stream(manifest):
    model = SpeechRecognizer(**SMALL).fit(str(manifest), budget="1ep", progress=False)
    assert model.network_.lstm.bidirectional
    with pytest.raises(InputError, match="causal=true"):
        next(model.listen(io.BytesIO(b"0" * 100)))


def test_the_command_line_hears_raw_samples(model, manifest, tmp_path):
    model.save(tmp_path / "model")
    samples = read_audio(manifest.parent / "1.wav", RATE)
    command = [sys.executable, "-m", "memfold", "stream", str(tmp_path / "model")]
    done = subprocess.run(command, input=(samples * 32767).astype("<i2").tobytes(), capture_output=True, check=True)
    assert "text" in json.loads(done.stdout.splitlines()[-1])


# -- parts ---------------------------------------------------------------------------------------------------


def small_network(causal=False):
    torch.manual_seed(0)
    return AcousticNetwork(AcousticSize(8, 4, 5, 2, 3, 0.0, causal))


def test_what_a_recording_is_batched_with_changes_nothing():
    frames = [np.random.default_rng(n).standard_normal((n, 8)).astype(np.float16) for n in (5, 40, 17, 1)]
    network = small_network()
    together = log_probabilities(network, frames)
    for own, alone in zip(together, (log_probabilities(network, [x])[0] for x in frames), strict=True):
        torch.testing.assert_close(own, alone, atol=1e-6, rtol=0)


def test_an_epoch_is_the_same_whenever_it_is_asked_for():
    frames = [np.random.default_rng(n).standard_normal((n, 8)).astype(np.float16) for n in range(30, 60)]
    data = Recordings(frames, [[1, 2]] * 30)
    augmentation = Augmentation(Surroundings.of([frames[0]], frames), 0, 0.5)
    problem = SpeechProblem(small_network(), data, data, Alphabet("abc"), 300, augmentation, 0)
    for first, second in zip(problem.batches(3), problem.batches(3), strict=True):
        assert torch.equal(first.x, second.x)
        assert torch.isfinite(problem.loss(first))


@pytest.mark.parametrize("layers", [1, 3])
def test_the_loss_is_of_the_last_layer_and_of_the_one_below(layers: int):
    torch.manual_seed(0)
    network = AcousticNetwork(AcousticSize(8, 2, 5, layers, 3, 0.0, causal=False))
    data = Recordings([np.random.default_rng(0).standard_normal((40, 8)).astype(np.float16)] * 2, [[1, 2], [3, 1, 1]])
    problem = SpeechProblem(network, data, data, Alphabet("abc"), 300, None, 0)
    (batch,) = problem.batches(0)
    features, steps = network.front(batch.x, batch.lengths)
    trace = network.lstm.trace(features, lengths=steps)
    losses = []
    for k in range(max(0, layers - 2), layers):
        hidden = torch.cat([trace[f"l{k}"]["h"], trace[f"l{k}_reverse"]["h"]], -1)  # (S, B, 2*H)
        y = network.head(hidden).log_softmax(-1)
        each = torch.nn.functional.ctc_loss(y, batch.labels, steps, batch.label_lengths, reduction="none")
        losses.append(each.sum() / batch.label_lengths.sum())
    expected = losses[0] if layers == 1 else BELOW * losses[0] + (1 - BELOW) * losses[1]
    torch.testing.assert_close(problem.loss(batch), expected)


@pytest.mark.parametrize("most", [0.0, 0.3, 1.0])
def test_no_more_batches_are_augmented_than_was_set(monkeypatch: pytest.MonkeyPatch, most: float):
    changed: list[int] = []
    monkeypatch.setattr(SpeechProblem, "_changed", lambda self, heard, row, *rest: changed.append(row) or heard)
    frames = [np.full((20, 8), 10, np.float16) for _ in range(200)]
    data = Recordings(frames, [[1, 2]] * 200)
    augmentation = Augmentation(Surroundings.of([frames[0]], frames), 0, most)
    problem = SpeechProblem(small_network(), data, data, Alphabet("abc"), 20, augmentation, 0)  # a row a batch
    batches = [batch for epoch in range(3) for batch in problem.batches(epoch)]
    assert len(changed) / len(batches) == pytest.approx(most, abs=0.1)


def test_augmentation_grows_to_its_full_strength():
    augmentation = Augmentation(Surroundings([], []), 10, 0.5)
    assert [augmentation.strength(step) for step in (0, 5, 10, 20)] == [0, 0.5, 1, 1]
    assert Augmentation(Surroundings([], []), 0, 0.5).strength(0) == 1


def test_stretched_frames_keep_their_order():
    x = torch.arange(10.0)[:, None].expand(-1, 2)
    y = stretch(x, 1.5)
    assert y.shape == (15, 2)
    assert (y.diff(dim=0) >= 0).all()


def test_confusions_are_counted():
    counts = confusions(["abc", "aa"], ["axc", "aab"])
    assert counts == {("b", "x"): 1, ("", "b"): 1}


# -- bad input -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [('{"audio": "0.wav"', "line 2: not readable as JSON"), ('["0.wav", "a"]', "line 2: expected an object")],
)
def test_a_line_of_a_manifest_that_is_no_row_is_named(manifest, tmp_path, line, message):
    bad = manifest.parent / "bad.jsonl"
    bad.write_text('{"audio_filepath": "0.wav", "sentence": "a"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_manifests([bad])


def test_bad_rows_and_files_among_many_are_left_out_and_named_at_fit_evaluate_and_predict(
    manifest, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(ffmpeg, "ffmpeg", lambda: None)
    lines = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()[:20]]
    rows = [{**row, "audio": str(manifest.parent / row["audio"])} for row in lines]
    (tmp_path / "memo.m4a").write_bytes(b"\0\0\0\x1cftypM4A \0\0\2\0" + bytes(100))
    bad = [{"audio": "gone.wav", "text": "a"}, {"audio": "memo.m4a", "text": "b"}, {"audio": "", "text": "c"}]
    for name, content in (("good", rows), ("some", [bad[0], *rows, *bad[1:]])):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, content)), encoding="utf-8")

    def said():
        text = capsys.readouterr().err
        assert "2 of 22 recordings cannot be read and are left out: " in text
        assert "gone.wav (no such file)" in text
        assert "memo.m4a (a file of MPEG-4" in text
        assert "some.jsonl: 1 of 23 rows are left out: row 23 (it names no recording)" in text

    good, some = str(tmp_path / "good.jsonl"), str(tmp_path / "some.jsonl")
    settings = {**SMALL, "beam": 1}
    clean = SpeechRecognizer(**settings).fit(good, budget="1ep", progress=False)
    capsys.readouterr()
    fitted = SpeechRecognizer(**settings).fit(some, budget="1ep", progress=False)
    said()
    assert fitted.evaluate(some).metrics["cer"] == clean.evaluate(good).metrics["cer"]
    said()
    assert fitted.predict(some)["text"].to_list() == clean.predict(good)["text"].to_list()
    said()


def test_answers_keep_the_columns_of_a_manifest_and_the_kind_of_a_frame(model, manifest):
    folder = manifest.parent
    (folder / "new.csv").write_text("id;path;text\n7;0.wav;old\n8;1.wav;\n", encoding="utf-8")
    table = model.predict(folder / "new.csv")
    assert table.columns == ["audio", "id", "path", "text_given", "text"]
    assert table["id"].to_list() == ["7", "8"]
    assert table["path"].to_list() == ["0.wav", "1.wav"]
    assert table["text"].to_list() == model.predict([folder / "0.wav", folder / "1.wav"])["text"].to_list()
    assert model.answers([str(folder / "new.csv"), str(folder / "2.wav")])["id"].to_list() == ["7", "8", None]
    frame = pd.DataFrame({"audio": [str(folder / "0.wav")], "id": [7]})
    answers = model.predict(frame)
    assert isinstance(answers, pd.DataFrame)
    assert list(answers.columns) == ["audio", "id", "text"]


def test_samples_are_predicted_as_their_file_is(model, manifest):
    file = manifest.parent / "0.wav"
    samples, rate = soundfile.read(file)
    expected = model.predict(str(file))["text"].item()
    for data in (samples, (samples, rate), [(samples, rate)], [samples], (samples * 32767).astype(np.int16)):
        assert model.predict(data)["text"].to_list() == [expected]
    assert model.predict([samples, file, (np.stack([samples, samples], 1), rate)])["text"].to_list() == [expected] * 3
    assert model.predict([samples, samples])["audio"].to_list() == ["recording 1", "recording 2"]


def test_recordings_that_were_trained_on_are_named_when_they_are_scored(model, manifest, tmp_path, capsys):
    known, rate = soundfile.read(manifest.parent / "3.wav")
    soundfile.write(tmp_path / "copy.flac", known, rate)  # another file of the same samples
    soundfile.write(tmp_path / "new.wav", spoken("ab", np.random.default_rng(99)), RATE)
    (tmp_path / "test.csv").write_text("audio,text\ncopy.flac,ab\nnew.wav,ab\n")
    model.save(tmp_path / "model")
    capsys.readouterr()
    memfold.load(tmp_path / "model").evaluate(tmp_path / "test.csv")
    assert f"warning: 1 of 2 recordings ({tmp_path / 'copy.flac'}) were trained on" in capsys.readouterr().err
    model.predict(tmp_path / "test.csv")
    assert "trained on" not in capsys.readouterr().err


def test_what_cannot_be_read_is_never_the_part_that_is_scored(manifest, tmp_path, capsys):
    rows = [{"audio": str(manifest.parent / f"{k}.wav"), "text": f"a{k}"} for k in range(8)]
    rows += [
        {"audio": name, "text": f"b{name}"} for name in ("gone.wav", "n" * 5000, "a\0b.wav", "text.wav", "empty.wav")
    ]
    (tmp_path / "text.wav").write_text("not sound")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE)
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    parts = SpeechRecognizer(**SMALL).parts([str(tmp_path / "m.jsonl")])
    assert sorted(map(str, [*parts.train.audio, *parts.test.audio])) == sorted(row["audio"] for row in rows[:8])
    said = capsys.readouterr().err
    assert said.startswith("5 of 13 recordings cannot be read and are left out: ")
    assert len(said) < 1000
    for data in ("n" * 5000, "a\0b.csv"):
        with pytest.raises(InputError, match="no such file"):
            SpeechRecognizer(**SMALL).fit(data)


def test_a_fit_says_who_is_held_out_and_which_files_are_there_twice(manifest, tmp_path, capsys):
    lines = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    rows = [
        {"audio": str(manifest.parent / row["audio"]), "text": row["text"], "speaker": f"s{k % 12}"}
        for k, row in enumerate(lines)
    ]
    (tmp_path / "copy.wav").write_bytes((manifest.parent / "5.wav").read_bytes())
    rows.append({"audio": "copy.wav", "text": "a", "speaker": "s5"})
    (tmp_path / "all.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    parts = SpeechRecognizer(**SMALL).parts([str(tmp_path / "all.jsonl")])
    said = capsys.readouterr().err
    assert "2 of 121 recordings (" in said
    assert "5.wav" in said
    assert "copy.wav) are copies of each other" in said
    (speaker,) = set(parts.test.speakers)
    assert f"the speaker {speaker} was held out to be scored, with 10 of 121 recordings" in said
    assert speaker not in parts.train.speakers


def test_recordings_shorter_than_their_text_are_left_out_and_said(manifest, tmp_path, capsys):
    soundfile.write(tmp_path / "short.wav", np.zeros(RATE // 4, np.float32), RATE)
    lines = [json.dumps({"audio": str(manifest.parent / f"{k}.wav"), "text": "a"}) for k in range(6)]
    lines += [json.dumps({"audio": "short.wav", "text": "abc" * 9})]
    (tmp_path / "m.jsonl").write_text("\n".join(lines), encoding="utf-8")
    SpeechRecognizer(**SMALL).fit(str(tmp_path / "m.jsonl"), budget="1ep", valid=str(manifest))
    assert "1 recording left out, shorter than the text" in capsys.readouterr().err
    (tmp_path / "all.jsonl").write_text("\n".join([lines[-1]] * 3), encoding="utf-8")
    with pytest.raises(InputError, match=r"all\.jsonl: every recording to train on is shorter"):
        SpeechRecognizer(**SMALL).fit(str(tmp_path / "all.jsonl"), budget="1ep", progress=False)


def test_sound_that_cannot_be_heard_is_left_out_and_named(model, manifest, tmp_path, capsys):
    soundfile.write(tmp_path / "click.wav", np.zeros(50, np.float32), RATE)
    (tmp_path / "text.wav").write_text("not sound")
    bad = [tmp_path / "click.wav", tmp_path / "text.wav"]
    table = model.predict([bad[0], manifest.parent / "0.wav", bad[1]])
    assert table["audio"].to_list() == [str(manifest.parent / "0.wav")]
    said = capsys.readouterr().err
    assert "2 of 3 recordings cannot be read and are left out: " in said
    assert "click.wav (shorter than 25 ms)" in said
    with pytest.raises(InputError, match=r"text\.wav \(not readable as audio .*\): cannot be read$"):
        model.predict(bad[1])
    spoken = read_manifests([manifest]).take(range(20))
    files, texts = [*spoken.audio, bad[1]], [*spoken.texts, "abc"]
    settings = {**SMALL, "beam": 1}
    whole = SpeechRecognizer(**settings).fit(spoken, budget="1ep", progress=False)
    apart = SpeechRecognizer(**settings).fit(files, texts, budget="1ep", progress=False)
    assert apart.score(files, texts) == whole.score(spoken)
    assert apart.predict(files).equals(whole.predict(spoken.audio))


def test_parameters_out_of_range_are_named(manifest):
    for given, message in (({"pause": 0.0}, "pause"), ({"dropout": 1.0}, "dropout"), ({"beam": 0}, "beam")):
        with pytest.raises(InputError, match=message):
            SpeechRecognizer(**{**SMALL, **given}).fit(str(manifest), budget="1ep", progress=False)

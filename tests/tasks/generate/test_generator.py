import json
import subprocess
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
import torch
from rich.console import Console

from command_line import run_here
from memfold import load
from memfold.data.prose import without_blocks
from memfold.errors import InputError
from memfold.tasks import TextGenerator

SMALL = {"hidden_size": 24, "embedding_size": 8, "batch_size": 4, "window": 16}
TEXT = "the cat sat on the mat.\nthe dog sat on the log.\n" * 60


@pytest.fixture(scope="module")
def fitted() -> TextGenerator:
    return TextGenerator(**SMALL).fit(TEXT, budget="12ep", progress=False)


def test_it_names_the_contracts_scores_and_its_parts(fitted: TextGenerator) -> None:
    report = fitted.evaluate(TEXT[:600], "cats")
    assert set(report.metrics) == {"nats_carried", "nats_window256", "bits_carried", "perplexity"}
    assert list(report.baselines) == [f"{len(fitted.grams_)}-gram", "the network alone"]
    assert report.metrics["nats_carried"] < 0.5
    assert report.metrics["bits_carried"] == pytest.approx(report.metrics["nats_carried"] * 1.442695)
    assert report.metrics["perplexity"] == pytest.approx(2.718281828 ** report.metrics["nats_carried"])


def test_the_mixture_is_best_on_the_validation_part(fitted: TextGenerator) -> None:
    contest = fitted.contest_
    assert contest is not None
    assert contest.scores["memfold"] == min(contest.scores.values())
    assert sum(contest.shares.values()) == pytest.approx(1)
    assert 0 < fitted.share_ < 1


def test_what_a_prompt_is_followed_by_is_the_likeliest_of_the_mixture(fitted: TextGenerator) -> None:
    prompts = [f"the cat s{character}" for character in "at.z"]
    nats = fitted.predict(prompts)["nats"].to_numpy()
    (written,) = fitted.generate("the cat s", length=1, temperature=0)
    assert prompts[int(nats.argmin())] == f"the cat s{written}"


@pytest.mark.parametrize(("grams", "share"), [([], 0.5), ([0], 0.5), ([3, 4], 1.5)])
def test_a_stored_n_gram_model_that_is_none_is_refused(
    fitted: TextGenerator, tmp_path: Path, grams: list[int], share: float
) -> None:
    fitted.save(tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    config["fitted"] |= {"grams": grams, "share": share}
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="an n-gram model of"):
        load(tmp_path / "m")


def test_a_saved_model_writes_the_same(fitted: TextGenerator, tmp_path: Path) -> None:
    fitted.save(tmp_path / "m")
    again = load(tmp_path / "m")
    for options in ({"temperature": 0.0}, {"top_k": 3}, {"top_p": 0.9, "seed": 5}):
        assert "".join(again.generate("the c", 40, **options)) == "".join(fitted.generate("the c", 40, **options))


def test_texts_and_files_follow_one_another(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("from a file\n")
    assert TextGenerator().read("a.txt") == "a.txt"
    assert TextGenerator().read(tmp_path / "a.txt") == "from a file\n"
    assert TextGenerator().read(["a.txt", tmp_path / "a.txt"]) == "a.txt\nfrom a file\n"
    assert TextGenerator().read_files([str(tmp_path / "a.txt")]) == "from a file\n"


def test_carriage_returns_marks_and_encodings_are_not_learnt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    poem = "床前明月光，疑是地上霜。\n举头望明月，低头思故乡。\n"
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.txt").write_bytes(b"\xef\xbb\xbf" + poem.replace("\n", "\r\n").encode())
    (tmp_path / "a" / "two.txt").write_bytes(poem.encode("gb18030"))
    expected = f"{poem}\n{poem}"
    assert TextGenerator().read(tmp_path / "a") == TextGenerator().read_files([str(tmp_path / "a")]) == expected
    assert "two.txt: read as GB18030" in capsys.readouterr().err
    assert TextGenerator().read("one\r\ntwo\rthree") == "one\ntwo\nthree"
    with pytest.raises(InputError, match=r"one\.txt, line 1: byte 0xef is not ascii"):
        TextGenerator(encoding="ascii").read(tmp_path / "a" / "one.txt")


def test_lines_that_it_was_fitted_to_are_named(fitted: TextGenerator, capsys: pytest.CaptureFixture[str]) -> None:
    fitted.evaluate("the cat sat on the mat.\nanother animal stood there.\nshort\n")
    assert "1 of 2 lines of 16 characters or more are among those that the model was fitted" in capsys.readouterr().err
    fitted.evaluate("another animal stood there.\n")
    assert capsys.readouterr().err == ""


def test_answers_stand_beside_the_columns_of_a_frame(fitted: TextGenerator) -> None:
    texts = ["the cat sat.", "the dog sat."]
    found = fitted.predict(pd.DataFrame({"id": [1, 2], "text": texts}))
    assert isinstance(found, pd.DataFrame)
    assert found.columns.to_list() == ["id", "text", "nats"]
    assert found["nats"].to_list() == fitted.predict(texts)["nats"].to_list()


def test_every_text_is_judged_from_a_zero_state(fitted: TextGenerator, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("the dog sat.")
    table = fitted.predict(["the cat sat on the mat.", tmp_path / "a.txt", "t", "", "tac eht"])
    assert table["text"].to_list() == ["the cat sat on the mat.", "the dog sat.", "t", "", "tac eht"]
    assert table["nats"].is_null().to_list() == [False, False, True, True, False]
    assert (
        table["nats"][4] > table["nats"][0] == pytest.approx(fitted.evaluate(table["text"][0]).metrics["nats_carried"])
    )
    assert fitted.predict([]).is_empty()


def test_subwords_are_scored_by_the_character_and_kept_with_the_model(tmp_path: Path) -> None:
    model = TextGenerator(tokens="subwords", vocabulary_size=60, tied=True, num_layers=2, **SMALL)
    model.fit(TEXT, budget="4ep", progress=False).save(tmp_path / "m")
    assert (tmp_path / "m" / "tokens.model").exists()
    again = load(tmp_path / "m")
    scores = again.evaluate(TEXT).metrics
    assert scores == model.evaluate(TEXT).metrics
    tokens = len(again.vocabulary_.encode(TEXT))
    per_token = torch.log(torch.tensor(scores["perplexity"])).item()
    assert scores["nats_carried"] == pytest.approx(per_token * tokens / len(TEXT), rel=1e-4)
    assert len("".join(again.generate("the ", 20))) > 20


def test_the_same_seed_writes_the_same_and_another_one_else(fitted: TextGenerator) -> None:
    def written(seed: int) -> str:
        return "".join(fitted.generate("the ", 60, temperature=1.5, seed=seed))

    assert written(1) == written(1) != written(2)


def test_several_samples_are_numbered_and_their_seed_gives_them_again(fitted: TextGenerator) -> None:
    table = fitted.samples("the", samples=3, seed=5, length=30)
    assert table.columns == ["prompt", "sample", "text"]
    assert table["sample"].to_list() == [1, 2, 3]
    assert table["text"][0] == "".join(fitted.generate("the", length=30, seed=5))
    assert table["text"].n_unique() == 3
    assert fitted.samples("the", samples=3, seed=5, length=30).equals(table)
    with pytest.raises(InputError, match=r"^samples must be from 1 to 10,000, got 0"):
        fitted.samples(samples=0)


def test_a_stop_string_ends_a_text_and_is_left_out(fitted: TextGenerator) -> None:
    whole = "".join(fitted.generate("the", length=60, seed=1))
    stop = whole[20:23]
    ended = "".join(fitted.generate("the", length=60, seed=1, stop=stop))
    assert ended == whole[: whole.index(stop)]
    assert "".join(fitted.generate("the", length=60, seed=1, stop="\0never")) == whole
    with pytest.raises(InputError, match=r"^stop must be at least one character"):
        fitted.generate("the", stop="")


def test_the_command_numbers_samples_and_reads_a_line_end_in_stop(fitted: TextGenerator, tmp_path: Path) -> None:
    fitted.save(tmp_path / "m")
    options = ["--set", "samples=2", "length=40", "seed=3", r"stop=\n"]
    done = run_here("predict", str(tmp_path / "m"), "--set", "prompt=the", *options)
    assert done.returncode == 0, done.stderr
    table = pl.read_csv(done.stdout.encode())
    assert table["sample"].to_list() == [1, 2]
    assert not any("\n" in str(text) for text in table["text"])


def test_a_sample_with_brackets_is_shown_as_it_is(fitted: TextGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TextGenerator, "generate", lambda self, length: iter("a [/b] [red]c"))
    console = Console(width=80)
    with console.capture() as captured:
        console.print(*fitted.evaluate(TEXT[:50]).shown)
    assert captured.get().splitlines()[-1].strip() == "a [/b] [red]c"


def test_characters_never_seen_are_read_and_never_written(fitted: TextGenerator) -> None:
    assert set("".join(fitted.generate("Ärger 春", 200, temperature=3.0))) <= set(TEXT)
    assert fitted.evaluate("Ärger 春").metrics["nats_carried"] > 0


def test_ten_blocks_are_held_out_and_the_end_is_learnt() -> None:
    text = "".join(chr(0x4E00 + k) for k in range(2000))
    learnt, kept = without_blocks(text)
    assert len(kept) == 100
    assert sorted(learnt + kept) == list(text)
    assert learnt.endswith(text[-50:])
    assert list(learnt) == sorted(learnt)
    assert list(kept) == sorted(kept)
    assert len(without_blocks(text * 1000)[1]) == 20_000


def test_a_known_set_is_read_by_its_registered_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "warpeace").mkdir()
    (tmp_path / "warpeace" / "warpeace_input.txt").write_text("abcdefghij" * 10)
    (tmp_path / "warpeace" / "notes.txt").write_text("not part of it")
    monkeypatch.setenv("MEMFOLD_DATA", str(tmp_path))
    parts = TextGenerator().parts(["@warpeace"])
    assert (parts.train, parts.test) == ("abcdefghij" * 9, "abcdefghij")


@pytest.mark.parametrize(
    ("changed", "text", "message"),
    [
        ({}, "too short", "the text has 9 characters"),
        ({"hidden_size": 0}, TEXT, "hidden_size must be at least 1"),
        ({"dropout": 1.0}, TEXT, "dropout must be below 1"),
    ],
)
def test_what_cannot_be_fitted_is_named(changed: dict[str, float], text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        TextGenerator(**SMALL | changed).fit(text, budget="1ep", progress=False)


def test_what_is_no_text_is_refused() -> None:
    for data, message in (
        (["a", 3.5], "item 2 is a float; expected a text as a str, or a file as a Path"),
        (pl.DataFrame({"text": ["a"]}), "got a DataFrame; expected texts"),
        (None, "got a NoneType; expected texts"),
    ):
        with pytest.raises(InputError, match=message):
            TextGenerator().read(data)
    with pytest.raises(InputError, match="generate takes no y"):
        TextGenerator().fit(["a"], ["b"])


def test_nothing_is_written_before_a_fit() -> None:
    with pytest.raises(InputError, match="not fitted yet"):
        next(TextGenerator().generate())


# -- the command line ---------------------------------------------------------------------------------------------


def run(folder: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return run_here(*arguments, folder=folder, given=given)


def test_the_commands_fit_evaluate_write_and_answer(tmp_path: Path) -> None:
    half = len(TEXT) // 2
    (tmp_path / "a.txt").write_text(TEXT[:half], encoding="utf-8")
    (tmp_path / "b.txt").write_text(TEXT[half:], encoding="utf-8")
    settings = [f"--set={name}={value}" for name, value in SMALL.items()]
    done = run(tmp_path, "fit", "generate", "a.txt", "b.txt", "--out", "m", "--budget", "6ep", "--json", *settings)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert set(report["metrics"]) == {"nats_carried", "nats_window256", "bits_carried", "perplexity"}
    assert report["data"] == "a.txt b.txt"
    assert "characters a second" in done.stderr
    scored = json.loads(run(tmp_path, "evaluate", "m", "b.txt", "--json").stdout)
    assert scored["baseline"]["name"].endswith("-gram")
    options = ["--set", "prompt=the c", "--set", "length=30", "--set", "temperature=0"]
    written = run(tmp_path, "predict", "m", *options).stdout
    assert written.startswith("the cat")
    assert len(written) == len("the c") + 30 + 1
    run(tmp_path, "predict", "m", *options, "--out", "written.txt")
    assert (tmp_path / "written.txt").read_text() == written
    answers = run(tmp_path, "stream", "m", given="the cat\nthe dog\n").stdout
    assert answers.startswith("the cat")
    assert "\nthe dog" in answers
    for wrong, message in [
        (["predict", "m", "--set", "colour=red"], "has no parameter 'colour'; it has prompt, length, temperature"),
        (["evaluate", "m", "b.txt", "--set", "train=a.txt"], "evaluate for generate has no parameter 'train'"),
        (["evaluate", "m", "none.txt"], "none.txt: no such file"),
        (["predict", "m", "@tinyshakespeare"], "goes on from files and --set prompt=TEXT, not from a data set"),
    ]:
        done = run(tmp_path, *wrong)
        assert done.returncode == 2
        assert message in done.stderr.splitlines()[-1]


def test_a_text_that_is_not_utf_8_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"fine\n\x00caf\xe9\n")
    done = run(tmp_path, "fit", "generate", "a.txt", "--out", "m")
    assert done.returncode == 2
    said = "memfold: a.txt, line 2: byte 0xe9 is neither UTF-8 nor GB18030 nor Latin-1; "
    assert done.stderr == said + "name the encoding with --set encoding=NAME\n"
    assert not (tmp_path / "m").exists()

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

import memfold
from command_line import run_here
from memfold.data.parallel import ParallelText
from memfold.errors import InputError
from memfold.tasks import Translator
from memfold.tasks.translate.memory import NEVER, THRESHOLDS, TranslationMemory, best_threshold
from memfold.tasks.translate.plan import facts_of, plan, without_spaces
from memfold.tasks.translate.scores import score_signatures, translation_scores

COLOURS = {"red": "rot", "blue": "blau", "green": "grün", "black": "schwarz"}
THINGS = {"cat": "Katze", "dog": "Hund", "car": "Auto", "tree": "Baum"}
VERBS = {"sleeps": "schläft", "falls": "fällt", "waits": "wartet"}
PAIRS = [
    (f"the {colour} {thing} {verb}", f"{VERBS[verb]} {THINGS[thing]} {COLOURS[colour]} !")
    for colour, thing, verb in product(COLOURS, THINGS, VERBS)
]
UNSEEN = [PAIRS[i] for i in (3, 17, 31, 40)]
SEEN = [pair for pair in PAIRS if pair not in UNSEEN] * 4


def small(**changes: object) -> Translator:
    settings = {"vocabulary": 60, "embedding_size": 32, "hidden_size": 32, "dropout": 0.2, "batch_tokens": 400}
    return Translator(**{**settings, "lr": 1e-2, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def fitted() -> Translator:
    return small().fit(SEEN, budget="25ep", valid=UNSEEN, progress=False)


def test_it_translates_sentences_that_it_never_saw(fitted: Translator) -> None:
    report = fitted.evaluate(UNSEEN, "made up", train=SEEN)
    assert report.metrics["bleu"] > 90
    assert report.metrics["bleu"] > report.baselines["nearest sentence"]["bleu"] > 1
    assert list(report.metrics) == ["bleu", "bleu_lower_tok", "chrf"]
    assert "tok:13a" in report.as_json()["signatures"]["bleu"]
    assert list(fitted.evaluate(UNSEEN).baselines) == ["source copied"]


def test_attention_tells_the_word_that_is_translated(fitted: Translator) -> None:
    (alignment,) = fitted.align(["the blue dog falls"])
    assert alignment.attention.shape == (len(alignment.target), len(alignment.source))
    assert "".join(alignment.target) == "▁fällt▁Hund▁blau▁!</s>"
    assert alignment.attention.sum(1) == pytest.approx(1.0)


def test_lines_keep_their_places_also_when_empty_or_never_seen(fitted: Translator) -> None:
    sentences = ["the red cat waits", "", "  ", "猫", "the red cat waits"]
    translations = fitted.predict(sentences)
    assert len(translations) == 5
    assert translations[0] == translations[4] == "wartet Katze rot !"
    assert translations[1] == translations[2] == ""
    assert fitted.predict(sentences, beam=1)[0] == translations[0]
    assert list(fitted.respond("the red cat waits")) == ["wartet Katze rot !"]


def test_answers_stand_beside_what_was_given(
    fitted: Translator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {"id": [7, 8], "en": ["the red cat waits", "the blue dog falls"], "translation": ["old", None]}
    expected = ["wartet Katze rot !", "fällt Hund blau !"]
    assert fitted.predict(rows["en"][0]) == expected[:1]
    found = fitted.predict(pd.DataFrame(rows, index=[5, 3]))
    assert isinstance(found, pd.DataFrame)
    assert found.columns.to_list() == ["id", "en", "given_translation", "translation"]
    assert found.index.to_list() == [5, 3]
    assert found["translation"].to_list() == expected
    assert "'translation' of the data is 'given_translation' there" in capsys.readouterr().err
    pl.DataFrame(rows).drop("translation").write_csv(tmp_path / "new.csv")
    table = fitted.answers([str(tmp_path / "new.csv")])
    assert isinstance(table, pl.DataFrame)
    assert table.to_dict(as_series=False) == {"id": ["7", "8"], "en": rows["en"], "translation": expected}
    three = pl.DataFrame({"a": ["one cat"], "b": ["two cats"], "c": ["no cat"]})
    with pytest.raises(InputError, match="columns of sentences are 'a', 'b', 'c'"):
        fitted.predict(three)
    assert fitted.predict(three.drop("c")).columns == ["a", "b", "translation"]
    assert capsys.readouterr().err.endswith("data frame: translates 'a'\n")


def test_sentences_that_it_was_fitted_to_are_named(fitted: Translator, capsys: pytest.CaptureFixture[str]) -> None:
    fitted.evaluate([*SEEN[:3], ("the pink cow sings", "x")])
    assert "3 of 4 sentences are among those that the model was fitted to" in capsys.readouterr().err
    fitted.evaluate([("the pink cow sings", "x")])
    assert capsys.readouterr().err == ""


def test_answers_are_also_a_table(fitted: Translator) -> None:
    sentences = ["the red cat waits", ""]
    table = fitted.table(sentences, fitted.answer(sentences))
    assert table.equals(pl.DataFrame({"source": sentences, "translation": ["wartet Katze rot !", ""]}))
    assert fitted.as_sklearn().set_params(beam=2).task.beam == 2
    assert fitted.array(sentences).tolist() == fitted.predict(sentences)


def test_a_model_keeps_its_subwords_and_how_it_was_scored(fitted: Translator, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model", fitted.evaluate(UNSEEN, name="made up"))
    loaded = memfold.load(tmp_path / "model")
    assert "tok:13a" in (tmp_path / "model" / "README.md").read_text()
    lines = tmp_path / "lines.txt"
    lines.write_text("the red cat waits\n\nthe blue dog falls\n")
    assert "".join(loaded.answers([str(lines)], beam=2)) == "wartet Katze rot !\n\nfällt Hund blau !\n"
    (tmp_path / "model" / "source.model").unlink()
    with pytest.raises(InputError, match=r"source\.model: missing"):
        memfold.load(tmp_path / "model")


def test_sentences_and_their_translations_may_come_apart_and_in_files(tmp_path: Path) -> None:
    table, source, target = (tmp_path / name for name in ("pairs.tsv", "a.en", "a.de"))
    table.write_text("a cat\teine Katze\na dog\tein Hund\n")
    source.write_text("a cat\na dog\n")
    target.write_text("eine Katze\nein Hund\n")
    expected = ParallelText(["a cat", "a dog"], ["eine Katze", "ein Hund"])
    model = Translator()
    assert model.read(table) == model.read([source, target]) == model.read_files([str(table)]) == expected
    assert model.labelled(["a cat", "a dog"], pl.Series(["eine Katze", "ein Hund"])) == expected
    assert model.labelled(source, target) == expected
    assert model.inputs(source) == expected.source
    for wrong in (["a cat"], "pairs.tsv", [("a", "b", "c")], [("a", 1)], [3]):
        with pytest.raises(InputError, match="item 1 is no pair of texts"):
            model.read(wrong)
    with pytest.raises(InputError, match="2 sentences in X and 1 translations in y"):
        model.labelled(["a", "b"], ["c"])


def test_files_are_split_for_a_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "pairs.tsv"
    table.write_text("".join(f"{source}\t{target}\n" for source, target in PAIRS))
    parts = small().parts([str(table)])
    assert "repeat" not in capsys.readouterr().err
    assert len(parts.train) + len(parts.test) == len(small().read_files([str(table)])) == len(PAIRS)
    assert parts.scoring["train"] is parts.train
    table.write_text("".join(f"{source}\t{target}\n" for source, target in [*PAIRS, *PAIRS[:5]]))
    parts = small().parts([str(table)])
    assert "5 pairs repeat the source sentence of another; those of one sentence are on one" in capsys.readouterr().err
    assert not set(parts.train.source) & set(parts.test.source)


def test_characters_are_the_units_and_the_measure_of_writing_without_spaces() -> None:
    pairs = [("a cat", "一只猫。"), ("a dog", "一只狗。"), ("two cats", "两只猫，真的"), ("two dogs", "两只狗。")] * 10
    model = small(target_units="character").fit(pairs, budget="2ep", valid=pairs[:4], progress=False)
    pieces = model.target_subwords_.id_to_piece(list(range(3, model.network_.size.target_vocabulary)))
    assert sorted(pieces) == sorted(set("一只猫。狗两，真的"))
    assert model.target_subwords_.decode(model.target_subwords_.encode("两只猫，真的")) == "两只猫，真的"
    assert "tok:char" in model.evaluate(pairs).signatures["bleu"]


def test_scores_are_those_of_known_texts() -> None:
    references = [["Der Hund läuft schnell ."], ["Eine Katze schläft dort ."]]
    exact = translation_scores([row[0] for row in references], references, False)
    assert exact == {name: pytest.approx(100) for name in ("bleu", "bleu_lower_tok", "chrf")}
    lower = translation_scores([row[0].lower() for row in references], references, False)
    assert lower["bleu"] < 50
    assert lower["bleu_lower_tok"] == pytest.approx(100)
    second = translation_scores(["Eins zwei drei vier", "x"], [["a b c d", "Eins zwei drei vier"], ["x"]], False)
    assert second["bleu"] == pytest.approx(100)
    assert score_signatures([["a", "b"], ["c"]], True)["bleu"].startswith("nrefs:var|case:mixed|eff:no|tok:char|")


MEMORY = TranslationMemory(["a red cat", "two dogs run", "他跑得很快"], ["x", "y", "z"])


def test_the_nearest_sentence_lends_its_translation() -> None:
    matches = MEMORY.matches(["dogs run", "red cats", "他很快", "two dogs run", "?"])
    assert [match.translation for match in matches[:4]] == ["y", "x", "z", "y"]
    assert matches[3].likeness == pytest.approx(1)
    assert 1 > matches[0].likeness > 0.3 > matches[4].likeness == 0


def test_a_memory_is_the_same_after_being_packed() -> None:
    assert TranslationMemory.unpacked(MEMORY.packed()) == MEMORY
    long = ParallelText([f"a {k}" for k in range(250_000)], [f"b {k}" for k in range(250_000)])
    assert len(TranslationMemory.of(long).source) < 100_000
    for broken in (MEMORY.packed()[:-9], np.zeros(5, np.uint8), TranslationMemory(["a"], []).packed()):
        with pytest.raises(InputError, match="the translation memory"):
            TranslationMemory.unpacked(broken)


def test_a_memory_answers_only_where_that_is_better() -> None:
    assert best_threshold(lambda threshold: 1.0) == NEVER
    assert best_threshold(lambda threshold: float(threshold < 0.55)) == max(t for t in THRESHOLDS if t < 0.55)


@pytest.fixture(scope="module")
def remembering() -> Translator:
    """One that was hardly trained, so that the most similar sentence wins."""
    return small().fit(SEEN, budget="1ep", valid=[("the red cat waits now", PAIRS[2][1]), *UNSEEN], progress=False)


def test_the_most_similar_sentence_answers_where_the_network_cannot(remembering: Translator, tmp_path: Path) -> None:
    assert remembering.contest_ is not None
    assert remembering.contest_.winner == "memfold"
    assert remembering.contest_.shares["nearest sentence"] > 0.5
    sentences = [PAIRS[0][0], "", "猫"]
    remembering.save(tmp_path / "m")
    for model in (remembering, memfold.load(tmp_path / "m")):
        first, empty, _ = model.predict(sentences)
        assert (first, empty) == (PAIRS[0][1], "")
        report = model.evaluate(UNSEEN)
        assert list(report.baselines) == ["nearest sentence", "the network alone", "source copied"]
        assert report.metrics["bleu"] >= report.baselines["the network alone"]["bleu"]


def test_units_and_sizes_follow_the_pairs() -> None:
    assert without_spaces(["他跑得很快", "OK，好"])
    assert without_spaces(["ฉันรักคุณ"])
    assert not without_spaces(["He runs.", "他"] * 3)
    assert not without_spaces(["", "123"])
    pairs = [(f"the number {k} is here", f"第{k}个数在这里") for k in range(400)]
    facts = facts_of(ParallelText.of(pairs))
    chosen = plan(facts, 180, 1.0, {}).values
    assert (chosen["source_units"], chosen["target_units"]) == ("subword", "character")
    assert plan(facts, 180, 1.0, {"target_units": "subword"}).values["target_units"] == "subword"
    assert chosen["hidden_size"] == 128
    assert chosen["dropout"] == 0.4
    many = replace(facts, pairs=300_000)
    more = plan(many, 36_000, 1.0, {}).values
    assert more["vocabulary"] > chosen["vocabulary"]
    assert more["hidden_size"] > chosen["hidden_size"]
    assert plan(many, 60, 0.25, {}).values["hidden_size"] == 128
    assert plan(many, 60, 0.25, {"hidden_size": 512}).values["hidden_size"] == 512


def test_chinese_is_scored_by_the_character_whatever_the_units() -> None:
    pairs = [("a cat", "一只猫。"), ("a dog", "一只狗。"), ("two cats", "两只猫，真的")] * 10
    model = small(target_units="subword").fit(pairs, budget="1ep", valid=pairs[:3], progress=False)
    assert "tok:char" in model.evaluate(pairs[:3]).signatures["bleu"]


def test_bad_requests_are_refused(fitted: Translator) -> None:
    with pytest.raises(InputError, match="item 1 is a int; expected a text as a str"):
        fitted.predict([3])
    with pytest.raises(InputError, match="item 1 holds half a character"):
        fitted.predict(["the red \ud83d cat"])
    with pytest.raises(InputError, match="beam must be at least 1, got 0"):
        fitted.predict(["the red cat"], beam=0)
    with pytest.raises(InputError, match="decoder_layers must be at least 2, got 1"):
        small(decoder_layers=1).fit(PAIRS, budget="1ep", progress=False)
    with pytest.raises(InputError, match="hidden_size must be even"):
        small(hidden_size=33).fit(PAIRS, budget="1ep", progress=False)
    with pytest.raises(InputError, match="2 pairs given, none"):
        small().fit([("a", ""), (" ", "b")], budget="1ep", progress=False)


def test_the_command_line_fits_translates_and_answers(tmp_path: Path) -> None:
    for name, side in (("train.en", 0), ("train.de", 1)):
        (tmp_path / name).write_text("".join(pair[side] + "\n" for pair in SEEN) + "\n", encoding="utf-8")
    settings = ("vocabulary=60", "embedding_size=16", "hidden_size=16", "batch_tokens=800", "lr=0.01")

    flags = [flag for setting in settings for flag in ("--set", setting)]
    files = ("train.en", "train.de", "--out", "m", "--budget", "2ep", "--json")
    done = run_here("fit", "translate", *files, *flags, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert set(report["metrics"]) == {"bleu", "bleu_lower_tok", "chrf"}
    assert report["baseline"]["name"] == "nearest sentence"
    assert "1 pair left out: a side is empty" in done.stderr
    assert "subwords a second" in done.stderr
    done = run_here("stream", "m", folder=tmp_path, given="the red cat waits\nthe dog\n")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2

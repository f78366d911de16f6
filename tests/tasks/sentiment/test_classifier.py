import json
import re
import sys
from collections.abc import Iterator
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.typing import NDArray
from rich.console import Console
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import make_union

from memfold import load
from memfold.cli import run
from memfold.errors import InputError
from memfold.explain.attribution import inputs_of, substituted
from memfold.runtime.texts.blend import Blend
from memfold.runtime.texts.labelling import Labelling
from memfold.runtime.texts.ngrams import KINDS, counted_by_character, grams_of
from memfold.runtime.texts.tokens import token_places, tokens
from memfold.tasks import TextClassifier
from memfold.tasks.calibration import expected_calibration_error
from memfold.tasks.classes import class_scores
from memfold.tasks.sentiment.baselines import NgramRegression
from memfold.tasks.sentiment.blend import best_blend
from memfold.tasks.sentiment.encoding import Encoder
from memfold.tasks.sentiment.folds import Folds
from memfold.tasks.sentiment.influence import influential_words, units, weights_of
from memfold.tasks.sentiment.network import ClassifyProblem, Ensemble, log_probabilities
from memfold.tasks.sentiment.task import ALONE, MAJORITY, NGRAMS, TFIDF
from memfold.tasks.sentiment.vectors import read_vectors

NEUTRAL = ["the", "room", "was", "it", "and", "film", "we", "saw", "there", "then"]


def table(rows: int = 240, classes: int = 2) -> pl.DataFrame:
    """A class has a word of its own, somewhere in the text; "not" before it, which no word alone decides, swaps two."""
    rng = np.random.default_rng(0)
    words = ["awful", "lovely", "late"][:classes]
    texts, labels = [], []
    for index in range(rows):
        true = index % classes
        swapped = classes == 2 and index % 3 == 0
        text = list(rng.choice(NEUTRAL, rng.integers(3, 8)))
        place = rng.integers(0, len(text))
        text[place:place] = ["not", words[1 - true]] if swapped else [words[true]]
        texts.append(" ".join(text))
        labels.append(["bad", "good", "slow"][true])
    return pl.DataFrame({"text": texts, "label": labels})


def small(**changes: object) -> TextClassifier:
    settings = {"embedding_size": 12, "hidden_size": 8, "members": 2, "lr": 1e-2, "batch_size": 16, "dropout": 0.2}
    return TextClassifier(**{**settings, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def fitted() -> TextClassifier:
    return small().fit(table(), budget="20ep", progress=False)


def test_it_learns_what_no_word_alone_decides(fitted: TextClassifier) -> None:
    report = fitted.evaluate(table(300)[240:], "made up")
    assert report.metrics["accuracy"] > 95
    assert set(report.metrics) == {"accuracy", "macro_f1", "ece"}
    assert list(report.baselines) == [TFIDF, MAJORITY, ALONE, NGRAMS]
    assert report.baselines[MAJORITY]["accuracy"] == 50


def test_an_evaluation_runs_the_networks_once(fitted: TextClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    whole = Labelling.network_log_probabilities
    monkeypatch.setattr(
        Labelling, "network_log_probabilities", lambda self, texts: seen.append(len(texts)) or whole(self, texts)
    )
    report = fitted.evaluate(table(60))
    assert sum(seen) == 60
    texts = table(60)["text"].to_list()
    alone = fitted.labelling.network_log_probabilities(texts)
    by_torch = log_probabilities(fitted.network_, fitted.encoder_.encode(texts), 2)
    np.testing.assert_allclose(alone, by_torch, atol=1e-5)
    expected = accuracy_score(table(60)["label"], np.array(fitted.classes_)[alone.argmax(1)])
    assert report.baselines[ALONE]["accuracy"] == pytest.approx(100 * expected)


def test_the_scores_are_scikit_learns(fitted: TextClassifier) -> None:
    frame = table(60).with_columns(label=pl.Series(["good", "good", "bad"] * 20))
    answers = fitted.predict(frame)["label"]
    metrics = fitted.evaluate(frame).metrics
    assert metrics["accuracy"] == pytest.approx(100 * accuracy_score(frame["label"], answers))
    assert metrics["macro_f1"] == pytest.approx(100 * f1_score(frame["label"], answers, average="macro"))


@pytest.mark.parametrize("classes", [2, 3])
def test_the_baseline_is_kept_and_answers_as_scikit_learn(classes: int) -> None:
    frame = table(90, classes)
    numbers = frame["label"].replace_strict({"bad": 0, "good": 1, "slow": 2}).to_list()
    words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b")
    vectors = make_union(words, TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True))
    theirs = LogisticRegression(C=10, max_iter=1000).fit(vectors.fit_transform(frame["text"]), numbers)
    ours = NgramRegression.fit(frame["text"].to_list(), numbers, ("words", "parts"), 10.0)
    again = NgramRegression(ours.size)
    again.load_state_dict(ours.state_dict())
    others = table(400, classes)["text"].to_list()
    expected = theirs.predict_log_proba(vectors.transform(others))
    np.testing.assert_allclose(again.linear.log_probabilities(others), expected, rtol=1e-4, atol=1e-6)
    assert not list(ours.parameters())


def test_characters_are_counted_where_most_tokens_are_no_words() -> None:
    assert counted_by_character(["酒店很好, ok", "服务差"])
    assert counted_by_character(["😀👍"])
    assert not counted_by_character(["酒店 means hotel, and it is good."])
    model = NgramRegression.fit(["酒店很好", "服务差"] * 3, [1, 0] * 3, ("characters",), 10.0)
    assert model.linear.log_probabilities(["很好", "差"]).argmax(1).tolist() == [1, 0]


def test_a_prediction_has_a_probability_a_class(fitted: TextClassifier) -> None:
    answer = fitted.predict(["a lovely film", "", "  ", "xyzzy 好 😀"])
    assert answer.columns == ["text", "label", "p_bad", "p_good"]
    assert answer["label"].is_null().to_list() == [False, True, True, False]
    sums = answer.select(pl.sum_horizontal("p_bad", "p_good", ignore_nulls=False)).to_series()
    assert sums.to_list() == pytest.approx([1.0, None, None, 1.0])
    assert list(fitted.respond("a lovely film")) == [f"good\t{answer['p_good'][0]:.3f}"]
    assert list(fitted.respond(" ")) == [""]


def test_answers_stand_beside_what_was_given(
    fitted: TextClassifier, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {"id": ["007", "8"], "text": ["a lovely film", "awful"], "date": ["2024-01-01", "2.1.24"]}
    answers = ["good", "bad"]
    pl.DataFrame(rows).write_csv(tmp_path / "new.csv")
    for found in (fitted.predict(tmp_path / "new.csv"), fitted.answers([str(tmp_path / "new.csv")])):
        assert found.select("id", "text", "date").to_dict(as_series=False) == rows
        assert found.columns == [*rows, "label", "p_bad", "p_good"]
        assert found["label"].to_list() == answers
    given = pd.DataFrame({**rows, "label": ["bad", "bad"], "p_bad": [3, 4]}, index=[5, 3])
    found = fitted.predict(given)
    assert isinstance(found, pd.DataFrame)
    assert found.columns.to_list() == [*rows, "given_label", "given_p_bad", "label", "p_bad", "p_good"]
    assert found.index.to_list() == [5, 3]
    assert found["label"].to_list() == answers
    assert "'label' of the data is 'given_label' there, 'p_bad' of the data is" in capsys.readouterr().err
    assert fitted.predict("a lovely film")["label"].to_list() == ["good"]
    assert fitted.array(given).tolist() == answers
    two = fitted.predict([tmp_path / "new.csv", tmp_path / "new.csv"])
    assert two["id"].to_list() == ["007", "8"] * 2


def test_texts_that_it_was_fitted_to_are_named(
    fitted: TextClassifier, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fitted.save(tmp_path / "m")
    known, other = table()["text"][0], "an utterly different text"
    again = load(tmp_path / "m")
    again.evaluate(pl.DataFrame({"text": [known.upper(), other], "label": ["bad", "good"]}))
    assert "1 of 2 texts are among those that the model was fitted to" in capsys.readouterr().err
    again.evaluate(pl.DataFrame({"text": [other], "label": ["good"]}))
    assert capsys.readouterr().err == ""


def test_repeated_texts_stay_on_one_side_and_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pl.DataFrame({"text": [f"text {k // 2}" for k in range(80)], "label": ["a", "b", "b", "b"] * 20})
    frame.write_csv(tmp_path / "a.csv")
    parts = TextClassifier().parts([str(tmp_path / "a.csv")])
    assert not set(parts.train.texts) & set(parts.test.texts)
    said = (
        "40 rows repeat the text of another; equal texts are on one side of the split; 20 texts have different labels"
    )
    assert said in capsys.readouterr().err
    few = pl.DataFrame({"text": ["one", "two"] * 20, "label": ["a", "b"] * 20})
    few.write_csv(tmp_path / "a.csv")
    TextClassifier().parts([str(tmp_path / "a.csv")])
    assert "too few are different: 4 of 4 that are scored are also trained on" in capsys.readouterr().err


def test_classes_that_differ_in_case_are_named_or_merged(capsys: pytest.CaptureFixture[str]) -> None:
    frame = table(60).with_columns(label=pl.Series(["bad", "good", " Bad", "GOOD ", "bad", "good"] * 10))
    model = small(members=1).fit(frame, budget="1ep")
    assert model.classes_ == ["Bad", "GOOD", "bad", "good"]
    said = capsys.readouterr().err
    assert "'Bad' (10 rows), 'bad' (20 rows); --set merge_labels=true makes them one" in said
    assert "'GOOD' (10 rows), 'good' (20 rows); --set merge_labels=true makes them one" in said
    merged = small(members=1, merge_labels=True).fit(frame, budget="1ep")
    assert merged.classes_ == ["bad", "good"]
    assert "differ in case" not in capsys.readouterr().err
    assert merged.score(pl.DataFrame({"text": ["awful"], "label": ["BAD"]})) in (0, 100)


def test_classes_that_are_numbers_are_said_to_be_classes(capsys: pytest.CaptureFixture[str]) -> None:
    frame = table(60).with_columns(label=pl.Series([1, 5] * 30))
    small(members=1).fit(frame, budget="1ep")
    assert "each number is a class, and their order does not count: 1, 5" in capsys.readouterr().err


def test_a_form_never_seen_is_known_by_its_parts(fitted: TextClassifier) -> None:
    assert fitted.predict(["awfully", "loveliest"])["label"].to_list() == ["bad", "good"]


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    first, again, other = (
        small(seed=seed).fit(table(), budget="1ep", progress=False).network_.state_dict() for seed in (0, 0, 1)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_balanced_weights_count_every_class_alike() -> None:
    encoder = Encoder.of(["a b"], 1, 10)
    texts = encoder.encode(["a"] * 3 + ["b"], [0, 0, 0, 1])
    model = small(class_weights="balanced")
    model.classes_ = ["0", "1"]
    weights = model.weights_of(texts)
    assert weights[0] * 3 == weights[1] * 1
    torch.manual_seed(0)
    network = Ensemble(1, 2, 2, 4, 4, 0.0)
    network.eval()
    plain, weighted = (
        ClassifyProblem(network, texts, texts, w, 4, 0).loss(texts.batch(range(4))) for w in (torch.ones(2), weights)
    )
    assert plain != weighted


def test_embeddings_start_from_word_vectors(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("3 2\nLovely 0.5 -1\nunseen 1 1\nfilm 2 3\n")
    frame = pl.DataFrame({"text": ["a lovely film"] * 20 + ["awful"] * 20, "label": [1] * 20 + [0] * 20})
    model = small(vectors=str(path), lr=1e-30).fit(frame, budget="1ep", progress=False)
    assert model.width_ == 2
    for member in model.network_.members:
        assert member.words.weight[model.encoder_.places["lovely"]].tolist() == pytest.approx([0.5, -1.0])  # type: ignore[index,union-attr]
    for text, message in (
        ("a 1 2\nfilm 1\n", "vectors.txt, line 2: 1 numbers after the word, expected 2"),
        ("film 1 x\n", "vectors.txt, line 1: what follows 'film' is not numbers"),
        ("other 1 2\n", "has none of the words"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            small(vectors=str(path)).fit(frame, budget="1ep", progress=False)


@pytest.mark.parametrize("count", [12, 4000])
def test_rare_classes_are_raised_where_many_texts_say_so(count: int) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(count, 3)) + np.log([0.8, 0.15, 0.05])
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(1)
    both = logarithms(logits)
    blend = best_blend(both, both, labels)
    raised = class_scores(labels, blend.probabilities(both, both))
    plain = class_scores(labels, np.exp(both))
    if count < 100:
        assert not any(blend.offsets)
    else:
        assert blend.offsets[2] > blend.offsets[1] > blend.offsets[0] == 0
        assert raised["macro_f1"] > plain["macro_f1"] + 3
        assert raised["accuracy"] + raised["macro_f1"] > plain["accuracy"] + plain["macro_f1"]
        assert raised["ece"] < 4


def test_vectors_in_json_are_read_by_the_word(tmp_path: Path) -> None:
    path = tmp_path / "vectors.json"
    quoted = '{"size": 4, "dimensions": 2, "words": ["a", "good"], "vectors": {",":[1,2,9,0],"\\"":[3,4,9,1],'
    path.write_text(
        quoted + '"[": [7, 7], "Good" : [0.5, -1e-1, 9, 2],"]":[5,6],"b\\u00e9b\\u00e9":[8,8]}, "none": []}'
    )
    vectors = read_vectors(str(path), ['A good bébé, "words" ]'])
    expected = {",": [1, 2], '"': [3, 4], "good": [0.5, -0.1], "]": [5, 6], "bébé": [8, 8]}
    assert {word: vector.tolist() for word, vector in vectors.items()} == {
        word: pytest.approx(numbers) for word, numbers in expected.items()
    }
    for text, message in (
        ('{"a": [1, 2], "good": [1]}', "byte 22: 1 numbers after the word, expected 2"),
        ('{"good": [1, 2', "byte 9: the list there has no end"),
        ('{"good": [1, x]}', "what follows 'good' is not numbers"),
        ("{}", "has none of the words"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_vectors(str(path), ["a good one"])


# -- few texts -----------------------------------------------------------------------------------------------


def test_members_do_not_learn_the_classes_of_the_fold_that_they_leave_out() -> None:
    encoder = Encoder.of(["a b c d"], 1, 10)
    texts = encoder.encode(["a", "b", "c", "d"], [0, 1, 0, 1])
    folds = Folds(torch.tensor([0, 0, 1, -1]), 2)
    torch.manual_seed(0)
    network = Ensemble(2, 4, 2, 4, 4, 0.0)
    problem = ClassifyProblem(network, texts, texts, torch.ones(2), 4, 0, folds=folds)
    left_out = texts.batch([0, 1])
    problem.loss(left_out).backward()
    first, second = ([w.grad for w in member.out.parameters()] for member in network.networks)
    assert all(grad is None or not grad.any() for grad in first)
    assert all(grad is not None and grad.any() for grad in second)
    assert folds.covered == [0, 1, 2]
    answers = log_probabilities(network, texts, 2, folds)
    alone = [network(texts.batch([row]), fold, 2).detach().numpy()[0] for row, fold in ((0, 0), (1, 0), (2, 1))]
    np.testing.assert_allclose(answers[:3], alone, atol=1e-6)
    assert np.isnan(answers[3]).all()


def test_few_texts_are_all_validated_on(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    best = best_blend
    monkeypatch.setattr(
        "memfold.tasks.sentiment.task.best_blend", lambda *given: asked.append(len(given[2])) or best(*given)
    )
    model = small(members=2).fit(table(60), budget="2ep", progress=False)
    assert model.plan_["folds"] == 2
    assert asked == [60]
    small(members=2, folds=1).fit(table(60), budget="2ep", progress=False)
    assert asked[1] < 10


def test_a_class_that_no_fold_could_leave_out_is_learned_by_all() -> None:
    frame = table(60).vstack(pl.DataFrame({"text": ["odd one", "another odd one"], "label": ["odd", "odd"]}))
    model = small().fit(frame, budget="2ep", progress=False)
    assert model.classes_ == ["bad", "good", "odd"]
    assert model.contest_ is not None
    assert model.contest_.scores.keys() == {"memfold", ALONE, NGRAMS, TFIDF, MAJORITY}


def test_a_time_is_no_reason_to_go_on_once_everything_is_learned() -> None:
    model = small(epochs=2, hidden_size=4).fit(table(40), budget="10m", progress=False)
    assert model.training_.steps == 2 * 3
    assert model.training_.seconds < 300


def logarithms(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    p: NDArray[np.float64] = logits - np.logaddexp.reduce(logits, 1, keepdims=True)
    return p


def test_the_blend_suits_what_neither_model_learned_from_and_few_texts_hardly_move_it() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(600, 3)) * 2
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(1)
    knowing, guessing = logarithms(logits), logarithms(rng.normal(size=logits.shape) * 2)
    first, second = best_blend(guessing, knowing, labels), best_blend(knowing, guessing, labels)
    assert first.share >= 0.9
    assert second.share <= 0.1
    one = best_blend(guessing[:1], knowing[:1], labels[:1])
    assert 0.7 <= one.share <= 0.95
    assert 0.7 < one.temperature < 1.4
    half = Blend(0.5).probabilities(np.log([[0.8, 0.2]]), np.log([[0.2, 0.8]]))
    assert half[0].tolist() == pytest.approx([0.5, 0.5])


def test_answers_that_were_too_sure_are_made_less_so() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3000, 3))
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(1)
    sure = logarithms(4 * logits)
    blend = best_blend(sure, sure, labels)
    assert blend.temperature == pytest.approx(4, rel=0.1)
    p = blend.probabilities(sure, sure)
    assert expected_calibration_error(p, labels) < 0.03 < expected_calibration_error(np.exp(sure), labels)


# -- influence -----------------------------------------------------------------------------------------------


def test_the_influential_words_are_those_that_decide(fitted: TextClassifier) -> None:
    texts = [text for text in table()["text"] if "not" not in text]
    bad, good = influential_words(fitted.network_, fitted.encoder_, texts, 2, fitted.blend_)
    assert (bad[0][0], good[0][0]) == ("awful", "lovely")
    assert bad[0][1] > 1


def test_a_words_weight_is_the_log_odds_lost_without_it(fitted: TextClassifier) -> None:
    text = "the lovely film !"
    (row,) = weights_of(fitted.network_, fitted.encoder_, [text], Blend(0.0))
    assert [unit for unit, _ in row] == ["the", "lovely", "film"]
    whole, blank = fitted.encoder_.encode([text]), fitted.encoder_.encode([text])
    blank.rows[0][1] = 0
    before, after = (fitted.network_(part.batch([0]))[0].exp().detach() for part in (whole, blank))
    expected = torch.log(before / (1 - before)) - torch.log(after / (1 - after))
    torch.testing.assert_close(row[1][1], expected, rtol=1e-3, atol=1e-3)


TEXTS = [
    "It's  GREAT,\n\tIsn't it? A",
    "酒店很好, ok ok",
    "Ünïcödé ﬁne — naïve café e\u0301te\u0301 İstanbul Σίσυφος",
    "x",
    "😀👍 !!",
    "  ",
    "the late film was not awful and not lovely",
]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("kinds", [("words",), ("words", "parts"), ("characters",), ("runs",)])
def test_what_the_tokens_add_is_all_that_the_linear_model_knows(classes: int, kinds: tuple[str, ...]) -> None:
    frame = table(90, classes)
    numbers = frame["label"].replace_strict({"bad": 0, "good": 1, "slow": 2}).to_list()
    texts = [*frame["text"].to_list(), *TEXTS]
    model = NgramRegression.fit(texts, [*numbers, *([0, 1] * 4)[: len(TEXTS)]], kinds, 10.0)
    for text in [*TEXTS, *texts[:5]]:
        added, rest = model.linear.contributions(text)
        assert added.shape == (len(tokens(text)), classes)
        expected = model.linear.log_probabilities([text])[0]
        logits = added.sum(0) + rest
        np.testing.assert_allclose(logits - np.logaddexp.reduce(logits), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["words", "parts", "characters", "runs"])
@pytest.mark.parametrize("text", TEXTS)
def test_n_grams_are_scikit_learns_with_their_places(kind: str, text: str) -> None:
    lower = text.lower()
    grams = list(grams_of(lower, kind))
    theirs = TfidfVectorizer(**KINDS[kind]).build_analyzer()(text)
    assert sorted(gram for gram, _, _ in grams) == sorted(theirs)
    for gram, left, right in grams:
        there = lower[left:right]
        assert " ".join(re.findall(r"\w+", there) if kind == "words" else there.split()) == " ".join(gram.split())


def test_every_character_knows_its_token() -> None:
    for text in TEXTS:
        places = token_places(text)
        assert len(places) == len(text.lower())
        assert set(places) - {-1} == set(range(len(tokens(text))))


def test_an_explanation_is_of_the_whole_answer(fitted: TextClassifier) -> None:
    """The LSTMs are near to knowing nothing, and the linear model decides."""
    texts = ["a terrible room", "a lovely room"] * 30
    labels = ["neg", "pos"] * 30
    model = small(lr=1e-30, members=1).fit(texts, labels, budget="1ep", progress=False)
    model.blend_ = Blend(0.7)
    found = model.explain("a terrible film was lovely terrible")
    assert found.answer.startswith("neg")
    assert found.shares is not None
    for shares in found.shares.methods.values():
        by_word = dict(zip(found.shares.labels, shares, strict=True))
        assert by_word["terrible"] == max(by_word.values()) > 0
        assert by_word["lovely"] == min(by_word.values()) < 0
    assert "the LSTMs have a share of 30% and the linear model of n-grams one of 70%" in found.shares.score
    assert "线性模型占 70%" in model.explain("a terrible film", "zh").shares.score  # type: ignore[union-attr]


@pytest.mark.parametrize("blend", [Blend(0.0), Blend(0.4, 0.8, (0.0, 0.5, 1.0)), Blend(1.0, 1.5)])
def test_the_shares_of_the_words_add_up_to_the_answer(fitted: TextClassifier, blend: Blend) -> None:
    text = "the film was not lovely"
    model = small(members=1).fit(table(60, 3), budget="2ep", progress=False)
    model.blend_ = blend
    answer = model.predict(text).row(0, named=True)
    odds = np.log(answer[f"p_{answer['label']}"] / (1 - answer[f"p_{answer['label']}"]))
    layers = [member.lstm for member in model.network_.networks]
    batch = model.encoder_.encode([text]).batch([0])
    with torch.no_grad():
        read = inputs_of(layers, lambda: model.network_(batch))
        with substituted(layers, read.mean(0, keepdim=True).expand_as(read)):
            by_network = model.network_(batch)[0]
    _, rest = model.network_.ngrams.linear.contributions(text)
    nothing = blend.probabilities(by_network.double().numpy()[None], rest[None] - np.logaddexp.reduce(rest))[0]
    before = nothing[model.classes_.index(answer["label"])]
    explanation = model.explain(text)
    assert explanation.shares is not None
    added = explanation.shares.methods["integrated gradients"].sum()
    assert added == pytest.approx(odds - np.log(before / (1 - before)), rel=0.05, abs=0.01)


def test_chinese_is_blanked_in_pairs() -> None:
    row = tokens("好酒店, ok")
    assert ["".join(row[i] for i in span) for span in units(row)] == ["好酒", "酒店", "ok"]


def test_a_page_colours_mistaken_texts_by_both_halves(fitted: TextClassifier, tmp_path: Path) -> None:
    text = "the film was lovely"
    (answer,) = fitted.predict([text])["label"].to_list()
    wrong = pl.DataFrame({"text": [text], "label": [next(label for label in fitted.classes_ if label != answer)]})
    fitted.evaluate(wrong, report=tmp_path / "a.html", lang="zh")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    shares = fitted.explain(text).shares
    assert shares is not None
    lstms, linear = (re.search(f"经由 {half}：([+-][0-9.]+)", page) for half in ("LSTM", "n-gram 线性模型"))
    assert lstms is not None
    assert linear is not None
    total = shares.methods["integrated gradients"].sum()
    assert float(lstms[1]) + float(linear[1]) == pytest.approx(total, abs=0.011)
    halves = [re.findall(r'title="([^"]+)">(\w+) </span>', part) for part in page.split('class="pieces"')[1:3]]
    assert [[word for _, word in half] for half in halves] == [text.split()] * 2
    sums = sum(float(value) for half in halves for value, _ in half)
    assert sums == pytest.approx(total, rel=0.02, abs=0.01)


def test_a_terminal_shows_confusions_and_words(fitted: TextClassifier) -> None:
    report = fitted.evaluate(table(60).with_columns(label=pl.lit("good")))
    console = Console(file=StringIO(), width=100)
    for item in report.shown:
        console.print(item)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "│ good │  30 │   30 │" in text
    assert "Examples of the worst confusions" in text
    assert re.search(r"│ good +│ bad +│ +0\.\d{3} ", text)
    assert "lovely" in text


# -- bad input and the command line --------------------------------------------------------------------------


def test_bad_requests_are_refused(fitted: TextClassifier) -> None:
    with pytest.raises(InputError, match="every row has the label 'good'"):
        small().fit(table().filter(label="good"), budget="1ep")
    with pytest.raises(InputError, match="the label 'fair' was not trained on; the model knows bad, good"):
        fitted.evaluate(pl.DataFrame({"text": ["so so"], "label": ["fair"]}))
    with pytest.raises(InputError, match="members must be at least 1, got 0"):
        small(members=0).fit(table(), budget="1ep")
    with pytest.raises(InputError, match="folds=3 with members=2: every fold needs a member of its own"):
        small(folds=3).fit(table(), budget="1ep")
    with pytest.raises(InputError, match="dropout must be below 1"):
        small(dropout=1.0).fit(table(), budget="1ep")


@pytest.fixture
def memfold_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[object]:
    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["memfold", *arguments])
        code = run()
        out, err = capsys.readouterr()
        return code, out, err

    return command


def test_from_a_file_to_labels_on_the_command_line(memfold_command, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    table(120).rename({"text": "opinion", "label": "mood"}).write_csv(tmp_path / "a.csv")
    data, out = str(tmp_path / "a.csv"), str(tmp_path / "m")
    settings = [f"--set={s}" for s in ("members=1", "hidden_size=8", "embedding_size=8", "text=opinion", "label=mood")]
    code, printed, said = memfold_command(
        "fit", "sentiment", data, "--out", out, "--budget", "1ep", *settings, "--json"
    )
    assert code == 0, said
    report = json.loads(printed)
    assert set(report["metrics"]) == {"accuracy", "macro_f1", "ece"}
    assert report["baseline"]["name"] == TFIDF
    assert "tokens a second" in said
    code, printed, _ = memfold_command("evaluate", out, data)
    assert code == 0
    assert "Answers by true class" in printed
    code, printed, _ = memfold_command("predict", out, data)
    assert printed.splitlines()[0] == "opinion,mood,label,p_bad,p_good"
    assert len(printed.splitlines()) == 121
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(b"awful\n\n")))
    code, printed, _ = memfold_command("stream", out)
    assert printed.split("\t")[0] in ("bad", "good")
    assert printed.count("\n") == 2
    for arguments, message in (
        (["fit", "sentiment", data, "--out", "x", "--set", "text=body"], "no column 'body'; it has 'opinion', 'mood'"),
        (["fit", "sentiment", "@sst2", data, "--out", "x"], "2 files given"),
        (["fit", "sentiment", "@m4-hourly", "--out", "x"], "@m4-hourly is a set for forecast; sentiment takes @sst2"),
        (["predict", out], "predict needs a file of texts"),
    ):
        code, printed, said = memfold_command(*arguments)
        assert (code, printed) == (2, "")
        assert message in said


def test_a_model_of_characters_is_saved_and_answers_again(tmp_path: Path) -> None:
    texts = ["这家酒店很好", "房间干净舒服", "服务态度很差", "房间又脏又吵"] * 12
    examples = pl.DataFrame({"text": texts, "label": ["good", "good", "bad", "bad"] * 12})
    model = TextClassifier(embedding_size=8, hidden_size=4, members=1).fit(examples, budget="2ep", progress=False)
    model.save(tmp_path / "m")
    restored = load(tmp_path / "m")
    assert isinstance(restored, TextClassifier)
    assert restored.predict(texts[:4]).equals(model.predict(texts[:4]))

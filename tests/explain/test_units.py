import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from memfold.errors import InputError
from memfold.explain import find_units, text_features
from memfold.explain.units import probe_scores


def features_of(text: str) -> dict[str, list[float]]:
    return {name: values.tolist() for name, values in text_features(list(text)).items()}


def test_quotes_are_open_from_the_first_mark_to_the_last() -> None:
    assert features_of('a "b" c')["quotes"] == [0, 0, 1, 1, 0, 0, 0]
    assert features_of("他说“好”。")["quotes"] == [0, 0, 1, 1, 0, 0]
    assert features_of('"a\nb"')["quotes"] == [1, 1, 1, 1, 0]


def test_an_empty_line_closes_what_was_left_open() -> None:
    assert features_of('"a\n\nb')["quotes"] == [1, 1, 1, 0, 0]


def test_lines_and_their_indentation() -> None:
    found = features_of("ab\n  c d\ne")
    assert found["line position"] == [1, 2, 0, 1, 2, 3, 4, 5, 0, 1]
    assert found["indentation"] == [0, 0, 0, 1, 2, 2, 2, 2, 0, 0]


def test_words_end_before_what_is_no_letter() -> None:
    assert features_of("an end.")["word boundary"] == [0, 1, 0, 0, 0, 1, 0]
    assert text_features(["hel", "lo", " you"])["word boundary"].tolist() == [0, 1, 1]


def test_the_area_under_the_curve_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    values, there = rng.integers(5, size=(60, 3)).astype(float), rng.integers(2, size=60).astype(float)
    kind, scores = probe_scores(values, there)
    assert kind == "auc"
    np.testing.assert_allclose(scores, [roc_auc_score(there, column) for column in values.T])
    kind, scores = probe_scores(values, rng.normal(size=60))
    assert kind == "correlation"


def test_the_unit_that_follows_is_found_and_scored_on_what_it_was_not_chosen_on() -> None:
    rng = np.random.default_rng(0)
    text = 'he said "no thanks" and "yes" then\n' * 40
    features = text_features(list(text))
    values = rng.normal(size=(len(text), 8))
    values[:, 5] = 1 - 2 * features["quotes"] + 0.1 * rng.normal(size=len(text))
    values[:, 2] = features["line position"] / 10
    found = {follower.feature: follower for follower in find_units(values, features)}
    quotes, column = found["quotes"], found["line position"]
    assert (quotes.unit, quotes.sign, quotes.kind) == (5, -1, "auc")
    assert quotes.score > 0.99
    assert (column.unit, column.sign, column.kind) == (2, 1, "correlation")
    assert column.score == pytest.approx(1)
    assert "indentation" not in found  # which this text does not have


def test_chance_on_one_half_is_not_believed() -> None:
    rng = np.random.default_rng(1)
    there = rng.integers(2, size=200).astype(float)
    (found,) = find_units(rng.normal(size=(200, 300)), {"coin": there})
    assert found.found > 0.6  # of so many units one fits
    assert found.score < 0.6


def test_the_unit_of_a_classifiers_class_is_found() -> None:
    from memfold.tasks.sentiment import TextClassifier
    from memfold.tasks.sentiment.units import sentiment_units

    words = ["day", "walk", "film", "meal", "book"]
    texts = [f"a {mood} {word}" for word in words for mood in ("good", "bad")] * 8
    labels = ["good", "bad"] * 40
    table = pl.DataFrame({"text": texts, "label": labels})
    model = TextClassifier(embedding_size=16, hidden_size=8, members=1, lr=1e-2).fit(
        table, budget="8ep", progress=False
    )
    found = sentiment_units(model, texts[:40], labels[:40])
    assert set(found) == {"members.0.lstm.l0", "members.0.lstm.l0_reverse"}
    assert max(follower.score for follower in found.values()) > 0.9
    with pytest.raises(InputError, match="separates two classes"):
        sentiment_units(model, texts[:2], ["good", "good"])

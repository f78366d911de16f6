"""Recipes of texts: parts in place of the networks give the same, and what is in no part is said."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentencepiece import SentencePieceProcessor

from export.parts import by_torch
from memfold.export import export
from memfold.tasks.translate.memory import NEVER, TranslationMemory
from memfold.tasks.translate.network import Searching
from memfold.tasks.translate.part import PartTranslation
from memfold.tasks.translate.search import beam_search, padded
from tasks.small import SMALL


def shaken(model: Any) -> Any:
    """A model whose network is far from where it began, so that nothing in it is near 0 or evenly spread."""
    import torch

    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.network_.parameters():
            parameter.add_(torch.randn_like(parameter))
    return model


def test_a_generator_writes_and_scores_through_its_part(tmp_path: Path) -> None:
    model = shaken(SMALL["generate"](tmp_path).model(num_layers=2).fit(["abcd" * 60], budget="1ep", progress=False))
    through = model.through(by_torch(model.recipe()))
    rows = np.random.default_rng(0).integers(model.vocabulary_.size, size=(3, 400))  # longer than what is read at once
    np.testing.assert_allclose(through.writing.nats(rows), model.writing.nats(rows), atol=1e-4)
    for share in (0.0, 0.4):
        model.share_ = share
        through = model.through(by_torch(model.recipe()))
        model = model.through(None)
        assert "".join(through.generate("ab", length=30)) == "".join(model.generate("ab", length=30))
    assert model.recipe().left_out == [f"the {len(model.grams_)}-gram model, whose share in the probabilities is 40%"]
    model.share_ = 0.0
    assert model.recipe().left_out == []


def test_a_generator_of_subwords_brings_its_file(tmp_path: Path) -> None:
    small = SMALL["generate"](tmp_path)
    model: Any = small.model(tokens="subwords", vocabulary_size=30).fit(small.X, budget="1ep", progress=False)
    recipe = model.recipe()
    subwords = recipe.around["subwords"]
    processor = SentencePieceProcessor(model_proto=recipe.files[subwords["file"]])
    lines = [processor.encode(line) for line in ["He said", "no"]]
    assert [*lines[0], subwords["between_lines"], *lines[1]] == model.vocabulary_.encode("He said\nno").tolist()


def test_a_classifier_answers_through_its_part_by_both_halves(tmp_path: Path) -> None:
    small = SMALL["sentiment"](tmp_path)
    classes = ["good", "bad", "what"]
    texts = ["a good day", "what a bad day", "what? what!"] * 20
    model = shaken(small.model(members=2).fit(texts, classes * 20, budget="1ep", progress=False))
    model.blend_ = type(model.blend_)(0.3, 0.5, (0.0, 0.2, -0.1))
    through = model.through(by_torch(model.recipe()))
    given = ["", "good good GOOD day", "?", "a day: 酒店很好"] + texts[:3] * 50  # more than are answered at once
    expected, actual = model.labelling.answers(given), through.labelling.answers(given)
    for name in ("probabilities", "network", "ngrams"):
        np.testing.assert_allclose(getattr(actual, name), getattr(expected, name), atol=2e-5)
    assert np.ptp(expected.network[:, 0]) > 0.1
    assert np.ptp(expected.ngrams[:, 0]) > 0.1


@pytest.mark.parametrize("beam", [1, 3])
def test_a_search_through_parts_finds_the_same(beam: int, tmp_path: Path) -> None:
    small = SMALL["translate"](tmp_path)
    model = shaken(small.model(decoder_layers=3).fit(small.X, small.y, budget="1ep", progress=False))
    runs = by_torch(model.recipe())
    parts = PartTranslation(runs["encoder"], runs["decoder"], model.decoder_layers)
    sentences = [[3, 4, 5, 3, 4], [5], [4, 4, 3]]
    expected = beam_search(Searching(model.network_), *padded(sentences), beam, 0.6)
    for one, other in zip(beam_search(parts, *padded(sentences), beam, 0.6), expected, strict=True):
        assert [h.words for h in one] == [h.words for h in other]
        assert [h.score for h in one] == pytest.approx([h.score for h in other], abs=1e-4)


def test_a_translation_memory_is_left_out_in_words(tmp_path: Path) -> None:
    small = SMALL["translate"](tmp_path)
    model: Any = small.fitted()
    model.memory_, model.memory_bytes_, model.threshold_ = None, 0, NEVER
    assert model.recipe().left_out == []
    model.memory_ = TranslationMemory(["one cat", "ten fox"], ["cat one", "fox ten"])
    model.threshold_ = 0.5
    (left,) = model.recipe().left_out
    assert left.startswith("the translation memory, which answers sentences that are like one of its 2 by 0.5 or more")


@pytest.mark.release
def test_a_classifier_of_characters_is_exported_too(tmp_path: Path) -> None:
    texts, labels = ["酒店很好", "房间不好!"] * 20, ["good", "bad"] * 20
    model: Any = SMALL["sentiment"](tmp_path).model().fit(texts, labels, budget="1ep", progress=False)
    done = export(model, "onnx", tmp_path / "m.onnx", check=model.labelled(texts, labels))
    first, second = (report.metrics for report in done.scores.values())
    assert second == pytest.approx(first, rel=1e-4)
    assert model.recipe().around["ngrams"]["characters"]["unit"] == "char"

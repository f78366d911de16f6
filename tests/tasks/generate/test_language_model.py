"""The parts of the generator, each against an oracle or a property."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memfold.errors import InputError
from memfold.runtime.ngram import NGram
from memfold.runtime.weights import Weights
from memfold.runtime.writing.mixture import Mixture, best_share
from memfold.runtime.writing.sampling import Sampler
from memfold.runtime.writing.vocabulary import Characters, Subwords
from memfold.runtime.writing.writing import WriteSettings, Writing
from memfold.tasks.generate import windows
from memfold.tasks.generate.nats import windows_of
from memfold.tasks.generate.network import LanguageModel, ModelSize
from memfold.tasks.generate.plan import TextFacts, plan
from memfold.tasks.generate.stored import StoredNGram
from memfold.tasks.generate.windows import CANDIDATES, SampledHead, TextProblem, nats_carried, whole_head

POEM = "春眠不覺曉，處處聞啼鳥。\n夜來風雨聲，花落知多少。\n"


def model(**changed):
    torch.manual_seed(0)
    size = {"embedding_size": 6, "hidden_size": 8, "num_layers": 2, "dropout": 0.3, "weight_drop": 0.2}
    size |= {"tied": False, "coupled": False}
    return LanguageModel(ModelSize(vocabulary=11, **size | changed)).eval()


def text(length, seed=1):
    return torch.randint(11, (length,), generator=torch.Generator().manual_seed(seed))


@given(st.text(alphabet="ab\nÄ春😀", min_size=1))
def test_characters_are_decoded_as_they_were_but_for_those_seen_once(written):
    vocabulary = Characters.of(written)
    expected = "".join(c if written.count(c) > 1 else "\N{REPLACEMENT CHARACTER}" for c in written)
    assert vocabulary.decode(vocabulary.encode(written)) == expected
    assert vocabulary.size == len({c for c in written if written.count(c) > 1}) + 1


def test_subwords_keep_spaces_line_ends_and_chinese():
    lines = f"to be, or  not to be:\n\n that is the question\n{POEM}" * 20
    vocabulary = Subwords.of(lines, 80)
    tokens = vocabulary.encode(lines)
    assert vocabulary.size <= 80
    assert vocabulary.decode(tokens) == lines
    assert "".join(vocabulary.pieces(tokens)) == lines
    assert len(tokens) < len(lines)
    assert np.array_equal(Subwords(vocabulary.model).encode(lines), tokens)


COUNTED = st.lists(st.integers(0, 4), min_size=2, max_size=40)


@settings(max_examples=50, deadline=None)
@given(COUNTED, st.integers(1, 4), st.integers(1, 60), st.lists(st.integers(0, 4), max_size=6))
def test_an_n_gram_models_probabilities_add_up_to_one_also_when_few_are_kept(counted, order, most, before):
    ngram = NGram.of(np.array(counted), 5, order, most)
    rows = np.array([[*before, 0, token] for token in range(5)])
    for model in (ngram, NGram.unpacked(ngram.packed(), 5)):
        probability = np.exp(-model.nats(rows)[:, -1])
        assert probability.sum() == pytest.approx(1)
        assert probability.min() > 0
        assert model.following(rows[0, :-1]) == pytest.approx(probability)


def test_an_n_gram_model_discounts_and_goes_back_as_kneser_and_ney():
    ngram = NGram.of(np.array([0, 1, 0, 1, 0, 2]), 4, order=2)
    # Alone: 0 stands after 1 token, 1 after one, 2 after one. Of each, half a token is the share of the uniform one.
    alone = 0.5 / 3 + (1.5 / 3) / 4
    # After 0: 1 twice and 2 once, of which 1 and a half are taken.
    expected = [(2 - 1) / 3 + (1.5 / 3) * alone, (1.5 / 3) * (1.5 / 3) / 4]
    assert np.exp(-ngram.nats(np.array([[0, 1], [0, 3]]))).ravel() == pytest.approx(expected)


def test_an_n_gram_model_that_is_too_large_loses_its_longest_and_rarest_grams():
    text = np.random.default_rng(0).integers(0, 6, 3000) ** 2 % 6
    whole, small = NGram.of(text, 6, 5), NGram.of(text, 6, 5, most=sum(NGram.of(text, 6, 3).sizes))
    assert sum(small.sizes) <= sum(whole.sizes[:3])
    assert small.sizes[:2] == whole.sizes[:2]
    assert small.sizes[3] < whole.sizes[3]


def test_packed_grams_that_do_not_fit_each_other_are_refused():
    first, second = NGram.of(np.array([0, 1, 0, 2, 0, 1]), 3, 2).packed()
    for broken in (
        [first, replace(second, children=second.children + 1)],
        [replace(first, tokens=first.tokens + 1), second],
        [second],
        [first, replace(second, children=second.children - np.array([9, 0, -9]))],
    ):
        with pytest.raises(InputError, match="the n-gram model's tokens of length"):
            NGram.unpacked(broken, 3)


def test_an_n_gram_model_is_the_same_after_being_stored():
    text = np.random.default_rng(0).integers(0, 70_000, 300) ** 2 % 9
    for vocabulary in (9, 70_000):
        ngram = NGram.of(text, vocabulary, 3)
        stored = StoredNGram.of(ngram)
        again = StoredNGram(ngram.sizes, vocabulary)
        again.load_state_dict(stored.state_dict())
        arrays = {f"ngram.{name}": buffer.numpy() for name, buffer in again.state_dict().items()}
        assert NGram.taken(Weights(arrays), "ngram", ngram.sizes, vocabulary).nats(text[None]) == pytest.approx(
            ngram.nats(text[None]), rel=2e-3
        )
    assert not list(stored.parameters())


def test_a_mixture_lies_between_its_parts_and_writes_what_it_scores():
    tokens = np.array([0, 1, 0, 2, 0, 1, 0])
    ngram, logits = NGram.of(tokens, 4, 3), np.array([0.1, 2.0, -1.0, 0.5], np.float32)
    network = -(logits - np.log(np.exp(logits).sum()))
    by_ngram = -np.log(ngram.following(tokens))
    for share in (0.0, 0.3, 1.0):
        found = Mixture(ngram, share).log_probabilities(logits, tokens)
        expected = (1 - share) * np.exp(-network) + share * np.exp(-by_ngram)
        assert np.exp(found) == pytest.approx(expected, rel=1e-5)
        assert Mixture(ngram, share).nats(network, by_ngram) == pytest.approx(-found, rel=1e-5)


def test_the_share_is_the_best_one():
    sure, unsure = np.full(100, 0.1), np.full(100, 2.0)
    assert best_share(sure, unsure) == 0
    assert best_share(unsure, sure) == 1
    assert 0.3 < best_share(np.tile([0.1, 3.0], 50), np.tile([3.0, 0.1], 50)) < 0.7


def test_the_estimate_from_some_tokens_is_the_loss_of_all():
    network = model(tied=True, num_layers=1)
    network.size = replace(network.size, vocabulary=2000)
    network.embedding, network.bias = torch.nn.Embedding(2000, 6), torch.nn.Parameter(torch.zeros(2000))
    counts = (20_000 / torch.arange(1, 2001)).long()
    targets = torch.multinomial(counts.float(), 200, replacement=True)
    features = torch.randn(200, 6) / 2
    head = SampledHead(counts, 200)
    with torch.no_grad():
        exact = whole_head(network, features, targets)
        found = torch.stack([head(network, features, targets) for _ in range(60)])
    assert CANDIDATES < 2000 / 2
    assert found.mean() == pytest.approx(exact.item(), abs=0.03)
    assert found.std() > 0


def test_an_untrained_network_expects_tokens_as_often_as_they_occur():
    network = model()
    network.expect(torch.tensor([9, 4] + [0] * 9))
    probability = network.bias.softmax(0)
    assert probability[:3].tolist() == pytest.approx([10 / 24, 5 / 24, 1 / 24])


def test_a_plan_follows_the_text_the_machine_and_what_is_given():
    shakespeare = plan(TextFacts(1_000_000, 1_000_000, 65), 180, 1.0, {})
    assert shakespeare.values == {
        "tied": False,
        "embedding_size": 64,
        "window": 64,
        "hidden_size": 512,
        "batch_size": 32,
        "dropout": 0.1,
    }
    tenth, slow = (
        plan(TextFacts(100_000, 100_000, 65), 180, 1.0, {}),
        plan(TextFacts(1_000_000, 1_000_000, 65), 180, 0.25, {}),
    )
    for smaller in (tenth, slow):
        assert smaller.values["hidden_size"] < 512
    assert tenth.values["dropout"] > 0.3
    poems = plan(TextFacts(600_000, 600_000, 5000), 180, 1.0, {})
    assert poems.values["tied"]
    given = plan(TextFacts(600_000, 600_000, 5000), 180, 1.0, {"tied": False, "hidden_size": 128})
    assert (given.values["tied"], given.values["hidden_size"]) == (False, 128)
    assert given.epochs < plan(TextFacts(600_000, 600_000, 5000), 360, 1.0, {"tied": False, "hidden_size": 128}).epochs


def test_the_order_of_an_n_gram_model_is_the_one_that_predicts_best():
    cycle = np.tile([0, 1, 0, 2, 0, 3], 60)  # what follows 0 depends on the token before it
    assert NGram.fitted(cycle, 4).order >= 3
    noise = np.random.default_rng(0).integers(0, 4, 400)
    assert NGram.fitted(noise, 4).order <= 2


def test_reading_in_pieces_is_reading_at_once(monkeypatch):
    monkeypatch.setattr(windows, "LOGITS", 11 * 2 * 70)
    network, rows = model(), text(3000)[:, None].reshape(-1, 2)
    logits, _ = network(rows[:-1])
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[1:].flatten(), reduction="none")
    torch.testing.assert_close(nats_carried(network, rows).flatten(), expected, atol=1e-5, rtol=0)


def test_windows_follow_each_other():
    tokens = text(50).numpy()
    found = windows_of(tokens, 16)
    assert found.shape == (3, 17)
    assert np.array_equal(found[:, 0], tokens[[0, 16, 32]])
    assert np.array_equal(found[:-1, -1], found[1:, 0])


def test_an_epochs_windows_follow_each_other_and_differ_by_epoch():
    problem = TextProblem(model(), text(403), text(60), batch_size=4, window=10, seed=0, unit="characters")
    epochs = [list(problem.batches(epoch)) for epoch in range(4)]
    for pieces in epochs:
        assert len(pieces) == problem.steps_per_epoch
        assert [window.first for window in pieces] == [True] + [False] * (len(pieces) - 1)
        assert all(torch.equal(a.tokens[-1], b.tokens[0]) for a, b in pairwise(pieces))
        assert problem.count(pieces[0]) == 40
    assert len({tuple(pieces[0].tokens.flatten().tolist()) for pieces in epochs}) > 1
    assert torch.equal(epochs[2][3].tokens, list(problem.batches(2))[3].tokens)


@given(st.integers(2, 40), st.integers(0, 400), st.integers(1, 64))
@settings(max_examples=60, deadline=None)
def test_every_epoch_of_a_short_text_has_a_window(batch_size, more, window):
    length = 2 * batch_size + more
    problem = TextProblem(model(), text(length), text(60), batch_size, window, seed=0, unit="characters")
    assert problem.steps_per_epoch > 0
    for epoch in range(4):
        batches = list(problem.batches(epoch))
        assert len(batches) == problem.steps_per_epoch
        assert all(batch.tokens.shape == (problem.window + 1, batch_size) for batch in batches)


def test_the_state_goes_from_window_to_window_without_a_gradient(monkeypatch):
    monkeypatch.setattr(windows, "FORGET", 0)
    network = model(dropout=0.0, weight_drop=0.0).train()
    problem = TextProblem(network, text(403), text(60), batch_size=4, window=10, seed=0, unit="characters")
    first, second, *_ = problem.batches(0)
    problem.loss(first)
    carried = problem.carried()
    assert sorted(carried) == ["c0", "c1", "h0", "h1"]
    expected = problem.loss(second)
    again = TextProblem(network, text(403), text(60), batch_size=4, window=10, seed=0, unit="characters")
    again.restore(carried)
    assert torch.equal(again.loss(second), expected)
    expected.backward()
    both = torch.cat([first.tokens, second.tokens[1:]])
    joined = torch.nn.functional.cross_entropy(
        network(both[:-1])[0][10:].flatten(0, 1), both[11:].flatten(), reduction="mean"
    )
    torch.testing.assert_close(joined, expected)


def test_some_rows_begin_anew():
    torch.manual_seed(0)
    problem = TextProblem(model(), text(4030), text(60), batch_size=4, window=10, seed=0, unit="characters")
    begun = []
    for batch in problem.batches(0):
        problem.loss(batch)
        begun += (problem.carried()["h0"][0] == 0).all(-1).tolist()
    assert 0.25 * windows.FORGET < sum(begun) / len(begun) < 3 * windows.FORGET


def test_dropout_has_one_mask_for_all_steps_and_none_outside_training():
    network = model(num_layers=1)
    same = text(1).repeat(5)[:, None]
    assert torch.equal(network(same)[0], network(same)[0])
    dropped = network.train()._dropped(torch.ones(7, 3, 8))
    assert torch.equal(dropped, dropped[:1].expand_as(dropped))
    assert not torch.equal(network(same)[0], network(same)[0])


@pytest.mark.parametrize("option", [{}, {"tied": True}, {"coupled": True}], ids=str)
def test_the_likeliest_text_of_the_stream_is_that_of_the_network(option):
    network = model(**option)
    prompt = text(4)
    tokens = prompt.tolist()
    with torch.no_grad():
        for _ in range(12):
            tokens.append(int(network(torch.tensor(tokens)[:, None])[0][-1, 0].argmax()))
    assert list(zip(range(12), sampler(network, temperature=0).tokens(prompt.numpy()), strict=False)) == list(
        enumerate(tokens[4:])
    )


def writing(network):
    """The pipeline of a network beside some n-gram model."""
    ngram = StoredNGram.of(NGram.of(np.arange(22) % 11, 11, 2))
    arrays = {name: value.numpy() for name, value in network.state_dict().items()}
    arrays |= {f"ngram.{name}": value.numpy() for name, value in ngram.state_dict().items()}
    size = network.size
    kept = {"characters": "abcdefghij", "counts": [1] * 11, "grams": [11, 11], "share": 0.0, "tokens": "characters"}
    names = ("embedding_size", "hidden_size", "num_layers", "tied", "coupled")
    settings = WriteSettings(**kept, **{name: getattr(size, name) for name in names}, seed=0)
    return Writing(settings, Weights(arrays), {})


def sampler(network, **options):
    return Sampler(writing(network).reader(), **options)


@pytest.mark.parametrize("option", [{}, {"tied": True}, {"coupled": True}], ids=str)
def test_texts_are_as_surprising_without_torch(option):
    network = model(**option)
    rows = torch.stack([text(40, seed) for seed in range(3)])
    with torch.no_grad():
        expected = nats_carried(network, rows.t().contiguous()).t().numpy()
    assert writing(network).nats(rows.numpy()) == pytest.approx(expected, abs=1e-5)


LOGITS = np.log(np.array([0.1, 0.4, 0.2, 0.3], np.float32))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.1, 0.4, 0.2, 0.3]),
        ({"temperature": 0.5}, np.array([1, 16, 4, 9]) / 30),
        ({"temperature": 0}, [0, 1, 0, 0]),
        ({"top_k": 2}, [0, 4 / 7, 0, 3 / 7]),
        ({"top_p": 0.6}, [0, 4 / 7, 0, 3 / 7]),
        ({"top_p": 0.75}, [0, 4 / 9, 2 / 9, 3 / 9]),
        ({"banned": (1,)}, [1 / 6, 0, 2 / 6, 3 / 6]),
    ],
    ids=str,
)
def test_tokens_are_drawn_by_their_probability(options, expected):
    draw = sampler(model(), **options).choose
    counts = np.bincount([draw(LOGITS) for _ in range(4000)], minlength=4)
    assert counts / 4000 == pytest.approx(expected, abs=0.03)
    assert not counts[np.array(expected) == 0].any()


@pytest.mark.parametrize("options", [{"temperature": -1}, {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.5}], ids=str)
def test_an_option_out_of_its_range_is_refused(options):
    with pytest.raises(InputError, match=f"{next(iter(options))} must be"):
        sampler(model(), **options)

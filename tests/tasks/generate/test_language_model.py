"""The parts of the generator, each against an oracle or a property."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memfold.errors import InputError
from memfold.stream import Stream
from memfold.tasks.generate import windows
from memfold.tasks.generate.network import LanguageModel, ModelSize
from memfold.tasks.generate.sampling import Sampler
from memfold.tasks.generate.vocabulary import Characters, Subwords
from memfold.tasks.generate.windows import TextProblem, nats_apart, nats_carried, windows_of
from memfold.tasks.ngram import NGram

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


@settings(max_examples=30)
@given(st.lists(st.integers(0, 4), min_size=2, max_size=40), st.integers(1, 4), st.lists(st.integers(0, 4), max_size=6))
def test_an_n_gram_models_probabilities_add_up_to_one(counted, order, before):
    ngram = NGram(np.array(counted), 5, order)
    rows = np.array([[*before, 0, token] for token in range(5)])
    assert np.exp(-ngram.nats(rows)[:, -1]).sum() == pytest.approx(1)


def test_an_n_gram_model_mixes_by_witten_and_bell():
    ngram = NGram(np.array([0, 1, 0, 1, 0, 2]), 4, order=2)
    # After 0: seen 3 times, before 2 kinds (1 twice, 2 once). Alone: 0 three times, 1 twice, 2 once, 3 kinds.
    alone = {1: (2 + 3 / 4) / (6 + 3), 3: (0 + 3 / 4) / (6 + 3)}
    expected = [(2 + 2 * alone[1]) / (3 + 2), (0 + 2 * alone[3]) / (3 + 2)]
    assert np.exp(-ngram.nats(np.array([[0, 1], [0, 3]]))).ravel() == pytest.approx(expected)


def test_the_order_of_an_n_gram_model_is_the_one_that_predicts_best():
    cycle = np.tile([0, 1, 0, 2, 0, 3], 60)  # what follows 0 depends on the token before it
    assert NGram.fitted(cycle, 4).order >= 3
    noise = np.random.default_rng(0).integers(0, 4, 400)
    assert NGram.fitted(noise, 4).order <= 2


def test_reading_in_pieces_is_reading_at_once():
    network, rows = model(), text(3000)[:, None].reshape(-1, 2)
    logits, _ = network(rows[:-1])
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[1:].flatten(), reduction="none")
    torch.testing.assert_close(nats_carried(network, rows).flatten(), expected, atol=1e-5, rtol=0)


def test_windows_apart_do_not_see_each_other():
    network, tokens = model(), text(50)
    found = nats_apart(network, tokens, 16)
    assert found.shape == (16, 3)
    for k in range(3):
        alone = nats_carried(network, tokens[16 * k : 16 * k + 17, None])
        torch.testing.assert_close(found[:, k], alone[:, 0], atol=1e-6, rtol=0)
    assert torch.equal(windows_of(tokens, 16)[0], tokens[[0, 16, 32]])


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


def sampler(network, **options):
    layers = [own for layer in network.recurrent() for own in layer.stream().layers]
    head = {name: weight.detach().numpy() for name, weight in network.head_on_hidden().items()}
    return Sampler(Stream(layers, head), network.embedding.weight.detach().numpy(), **options)


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

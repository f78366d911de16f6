from dataclasses import replace

import pytest
import torch
from torch import Tensor

from memfold.tasks.translate.batches import Pairs, TranslationProblem, pad
from memfold.tasks.translate.network import Searching, TranslationNetwork, TranslationSize
from memfold.tasks.translate.search import beam_search, length_penalty, padded
from memfold.tasks.translate.subwords import BEGIN, END, UNKNOWN

SIZE = TranslationSize(12, 9, 6, 8, 1, 2, 0.3)
SOURCES = [[3, 4, 5, 6, 7], [8, 3], [5, 5, 9, 11]]


def made(seed: int = 0, size: TranslationSize = SIZE) -> TranslationNetwork:
    """A network whose choices are sharp: random weights, larger than those it would start from."""
    torch.manual_seed(seed)
    network = TranslationNetwork(size).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2)
    return network


def log_probabilities(network: TranslationNetwork, source: list[int], words: list[int]) -> Tensor:
    """Of every subword at every place of a translation that the decoder is given, (T, V)."""
    pairs = Pairs.of([source], [words])
    memory = network.encode(pairs.source, pairs.source_lengths)
    features, _, _ = network.decode(memory, pairs.words, network.begin(memory), pairs.target_lengths)
    return network.logits(features)[0].log_softmax(-1)


@pytest.mark.parametrize("beam", [1, 2, 5])
@pytest.mark.parametrize("alpha", [0.0, 0.8])
@pytest.mark.parametrize("layers", [2, 3])
@torch.no_grad()
def test_a_hypothesis_scores_what_the_decoder_gives_when_given_it(beam: int, alpha: float, layers: int) -> None:
    network = made(size=replace(SIZE, decoder_layers=layers))
    for source, found in zip(SOURCES, beam_search(Searching(network), *padded(SOURCES), beam, alpha), strict=True):
        assert 1 <= len(found) <= beam
        assert len({tuple(h.words) for h in found}) == len(found)
        for hypothesis in found:
            log_p = log_probabilities(network, source, hypothesis.words)
            total = sum(log_p[i, word].item() for i, word in enumerate([*hypothesis.words, END]))
            assert hypothesis.log_probability == pytest.approx(total, abs=1e-4)
            assert hypothesis.score == pytest.approx(total / length_penalty(len(hypothesis.words) + 1, alpha), abs=1e-4)


@pytest.mark.parametrize("seed", range(5))
@torch.no_grad()
def test_a_beam_of_one_takes_the_likeliest_word_at_each_step(seed: int) -> None:
    network = made(seed)
    for source, found in zip(SOURCES, beam_search(Searching(network), *padded(SOURCES), 1, 0.6), strict=True):
        words: list[int] = []
        while len(words) < 2 * len(source) + 9:
            step = log_probabilities(network, source, words)[-1]
            step[[UNKNOWN, BEGIN]] = -torch.inf
            if (word := int(step.argmax())) == END:
                break
            words.append(word)
        assert [h.words for h in found] == [words]


@torch.no_grad()
def test_a_beam_as_wide_as_all_translations_finds_the_best_of_all() -> None:
    """With 4 words, one of them the end, and a source that limits the length, all can be listed."""
    network = made(3, replace(SIZE, target_vocabulary=5))
    best = -torch.inf
    for length in range(6):
        for code in range(2**length):
            words = [3 + (code >> i & 1) for i in range(length)]
            log_p = log_probabilities(network, SOURCES[1], words)
            total = sum(log_p[i, word].item() for i, word in enumerate([*words, END]))
            best = max(best, total / length_penalty(length + 1, 0.6))
    (found,) = beam_search(Searching(network), *padded([SOURCES[1]]), 64, 0.6)
    assert found[0].score >= best - 1e-5


@torch.no_grad()
def test_a_sentence_is_translated_alone_as_among_others() -> None:
    network = made()
    together = beam_search(Searching(network), *padded(SOURCES), 3, 0.6)
    for source, found in zip(SOURCES, together, strict=True):
        (alone,) = beam_search(Searching(network), *padded([source]), 3, 0.6)
        assert [h.words for h in alone] == [h.words for h in found]


@torch.no_grad()
def test_padding_changes_neither_features_nor_attention() -> None:
    network = made()
    memory = network.encode(*pad(SOURCES))
    words = torch.tensor([[BEGIN, 3, 4, 5]] * 3)
    features, _, attention = network.decode(memory, words, network.begin(memory))
    alone = network.encode(*pad([SOURCES[1]]))
    lone_features, _, lone_attention = network.decode(alone, words[:1], network.begin(alone))
    torch.testing.assert_close(features[1:2], lone_features)
    torch.testing.assert_close(attention[1:2, :, :2], lone_attention)
    assert not attention[1, :, 2:].any()
    torch.testing.assert_close(attention.sum(-1), torch.ones(3, 4))


def test_the_loss_is_the_mean_over_the_words_of_the_batch() -> None:
    network = made()
    targets = [[3, 4], [5], [6, 7, 8, 3]]
    problem = TranslationProblem(network, (SOURCES, targets), (SOURCES, targets), 1000, 0.0, 0)
    log_p = [
        log_probabilities(network, source, words)[range(len(words) + 1), [*words, END]]
        for source, words in zip(SOURCES, targets, strict=True)
    ]
    expected = -torch.cat(log_p).mean().item()
    assert problem.loss(Pairs.of(SOURCES, targets)).item() == pytest.approx(expected, abs=1e-5)
    assert problem.validate() == pytest.approx(expected, abs=1e-5)
    assert problem.count(Pairs.of(SOURCES, targets)) == 10

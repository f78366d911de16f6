import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from memfold.runtime.texts.tokens import tokens
from memfold.tasks.sentiment.encoding import Encoder
from memfold.tasks.sentiment.network import attention_weights, batches_by_length


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't STOP!", ["don", "'", "t", "stop", "!"]),
        ("房间Wi-Fi很慢，3星。", ["房", "间", "wi", "-", "fi", "很", "慢", ",", "3", "星", "。"]),
        ("ｆｕｌｌ　ｗｉｄｔｈ", ["full", "width"]),
        ("cafe\u0301 हिन्दी", ["caf\u00e9", "हिन्दी"]),
        ("😀👍 ok", ["😀", "👍", "ok"]),
        (" \n\t", []),
    ],
)
def test_words_are_parted_by_spaces_and_chinese_by_characters(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


@given(st.lists(st.text(max_size=12), min_size=1, max_size=6))
def test_a_batch_holds_what_each_text_holds_alone(texts: list[str]) -> None:
    encoder = Encoder.of([*texts, "some words"], min_count=1, max_length=8)
    encoded = encoder.encode(texts)
    together = encoded.batch(range(len(texts)))
    assert together.words[0] == 0
    for row in range(len(texts)):
        alone = encoded.batch([row])
        length = int(alone.lengths[0])
        assert length == together.lengths[row] == min(len(tokens(texts[row])), 8)
        for batch, place in ((alone, 0), (together, row)):
            kinds = batch.kinds[place]
            assert not kinds[length:].any()
            ends = torch.cat([batch.gram_starts[1:], torch.tensor([len(batch.grams)])])
            contents = [
                (int(batch.words[k]), batch.grams[batch.gram_starts[k] : ends[k]].tolist()) for k in kinds[:length]
            ]
            if batch is alone:
                first = contents
        assert contents == first


def test_a_rare_word_is_encoded_by_its_ngrams_and_forms_share_them() -> None:
    encoder = Encoder.of(["seen seen once"], min_count=2, max_length=10)
    assert encoder.vocabulary == ["seen"]
    batch = encoder.encode(["seen boredom boring"]).batch([0])
    assert sorted(batch.words.tolist()) == [0, 0, 0, 1]
    grams = [set(part.tolist()) for part in torch.tensor_split(batch.grams, batch.gram_starts[1:])]
    boredom, boring = (grams[int(batch.kinds[0, i])] for i in (1, 2))
    assert len(boredom & boring) >= 3  # <bo bor <bor
    assert not boredom & grams[int(batch.kinds[0, 0])]


def test_a_character_is_encoded_by_its_neighbours_too() -> None:
    encoder = Encoder.of(["很好不好"], min_count=1, max_length=10)
    encoded = encoder.encode(["很好", "不好", "很好"])
    assert torch.equal(encoded.rows[0], encoded.rows[2])
    first, second = encoded.rows[0][1], encoded.rows[1][1]
    assert encoded.words[first] == encoded.words[second]
    assert first != second


def test_every_text_comes_once_and_in_another_order_every_epoch() -> None:
    encoder = Encoder.of(["a b c"], 1, 10)
    encoded = encoder.encode(["a " * (i % 7) for i in range(100)], range(100))
    orders = [[b.labels.tolist() for b in batches_by_length(encoded, 8, seed)] for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert all(sorted(label for batch in order for label in batch) == list(range(100)) for order in orders)
    assert [int(b.lengths.max()) for b in batches_by_length(encoded, 50)] == [3, 6]


def test_attention_ignores_the_padding() -> None:
    scores = torch.tensor([[0.0, 0.0, 99.0], [1.0, 2.0, 3.0], [5.0, 5.0, 5.0]])
    weights = attention_weights(scores, torch.tensor([2, 3, 0]))
    assert weights[0].tolist() == [0.5, 0.5, 0.0]
    torch.testing.assert_close(weights[1], torch.softmax(scores[1], 0))
    assert weights[2].tolist() == [0.0, 0.0, 0.0]

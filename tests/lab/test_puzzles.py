import pytest
import torch

from memfold.lab.puzzles import DIGITS, PADDING, Adding, Copy, Puzzle, PuzzleBatch, Reber, TemporalOrder, Timing


def drawn(puzzle: Puzzle, batch: int = 400) -> PuzzleBatch:
    return puzzle.draw(batch, torch.Generator().manual_seed(0))


def test_adding_marks_one_number_in_either_half_and_asks_for_their_sum() -> None:
    batch = drawn(Adding(30), 2000)
    numbers, marks = batch.x.unbind(-1)
    assert (marks[:15].sum(0) == 1).all()
    assert (marks[15:].sum(0) == 1).all()
    torch.testing.assert_close((numbers * marks).sum(0), batch.target[0])
    assert abs((batch.target - 1).square().mean() - Adding.ignorance) < 0.01


def test_adding_is_right_within_the_bound_of_1997() -> None:
    batch = PuzzleBatch(torch.zeros(1, 3, 2), torch.tensor([[1.0, 1.0, 1.0]]))
    assert Adding(8).right(torch.tensor([[[1.039], [1.041], [0.95]]]), batch).tolist() == [True, False, False]


def test_copy_asks_for_the_symbols_after_the_silence() -> None:
    batch = drawn(Copy(20))
    assert batch.x.shape == (40, 400, DIGITS + 2)
    assert torch.equal(batch.x[:10].argmax(-1), batch.target)
    assert (batch.x[10:30].argmax(-1) == DIGITS).all()
    assert (batch.x[30:].argmax(-1) == DIGITS + 1).all()


def test_temporal_order_can_be_read_from_the_two_symbols() -> None:
    batch = drawn(TemporalOrder(100))
    marked = batch.x[..., -2:].argmax(-1) + 2 * batch.x[..., -2:].sum(-1).long()  # 2 for X, 3 for Y
    assert ((marked > 0).sum(0) == 2).all()
    early, late = marked[10:21].amax(0), marked[50:61].amax(0)
    assert torch.equal(2 * (early - 2) + late - 2, batch.target[0])


def test_the_spikes_of_a_train_are_as_far_apart_as_its_class_says() -> None:
    batch = drawn(Timing(12))
    for row in range(50):
        assert batch.lengths is not None
        last = int(batch.lengths[row]) - 1
        spikes = batch.x[:, row, 0].nonzero().flatten()
        assert len(spikes) == 4
        assert spikes[-1] == last
        assert set(spikes.diff().tolist()) == {12 - int(batch.target[last, row])}
        assert (batch.target[:, row] != PADDING).sum() == 1


def test_every_string_of_the_reber_grammar_is_legal_at_every_step() -> None:
    puzzle, random = Reber(24), torch.Generator().manual_seed(1)
    lengths = []
    for _ in range(500):
        text, legal = puzzle.string(random)
        assert len(legal) == len(text) - 1
        assert all(symbol in following for symbol, following in zip(text[1:], legal, strict=True)), text
        assert text[0] + text[-1] == "BE"
        assert text[1] == text[-2]
        lengths.append(len(text) - 4)
    assert 20 < sum(lengths) / len(lengths) < 28


def test_at_a_lag_of_8_the_reber_strings_are_those_of_1997() -> None:
    random = torch.Generator().manual_seed(2)
    strings = [Reber(8).string(random) for _ in range(500)]
    assert all(text.count("E") == 2 for text, _ in strings)
    assert all(legal[-2] == text[1] for text, legal in strings)  # after the inner string, the outer symbol alone
    assert 7.5 < sum(len(text) - 4 for text, _ in strings) / 500 < 8.5


def test_a_reber_answer_is_right_only_if_all_legal_symbols_lead() -> None:
    puzzle = Reber(8)
    batch = drawn(puzzle, 20)
    assert batch.legal is not None
    knowing = batch.legal.float()
    assert puzzle.right(knowing, batch).all()
    knowing[1, 3] = 1 - knowing[1, 3]
    assert puzzle.right(knowing, batch).tolist() == [row != 3 for row in range(20)]


@pytest.mark.parametrize("puzzle", [Copy(10), TemporalOrder(20), Timing(8)])
def test_who_knows_nothing_has_the_loss_that_is_printed(puzzle: Puzzle) -> None:
    batch = drawn(puzzle)
    y = torch.zeros(*batch.target.shape, puzzle.outputs)
    assert puzzle.loss(y, batch).item() == pytest.approx(puzzle.ignorance)

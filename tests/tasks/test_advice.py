"""What is said where a baseline is better, by what the training shows."""

from memfold.data.labelled import LabelledTexts
from memfold.tasks.advice import advice, better_baseline, rarest_of
from memfold.tasks.contest import ANSWER, Contest
from memfold.tasks.report import Metric
from memfold.trained import Result, Validation
from memfold.words import Words


def training(best: int, losses: list[float], stopped: str = "budget", epochs: int = 20) -> Result:
    steps = 10 * len(losses)
    curve = [Validation(10 * (k + 1), epochs - 1, k, loss, 1.0) for k, loss in enumerate(losses)]
    return Result(steps=steps, seconds=30.0, best_step=best, curve=curve, stopped=stopped)


def test_a_score_that_still_fell_asks_for_a_longer_budget() -> None:
    lines = advice(training(50, [5, 4, 3, 2, 1]), "Theta")
    assert lines[0] == "Theta is better than the model here; what to try:"
    assert "still getting better when the budget ended (50 steps, 20 passes over the data)" in lines[1]
    assert "--budget 2m" in lines[1]
    assert len(lines) == 2


def test_a_loss_that_falls_on_asks_for_more_data() -> None:
    (_, line) = advice(training(20, [5, 4, 3, 2, 1]), "Theta")
    assert "after step 20 of 50" in line
    assert "more data helps most" in line


def test_few_examples_of_a_class_are_named() -> None:
    texts = LabelledTexts("x", ["a"] * 12, ["good"] * 9 + ["bad"] * 3)
    assert rarest_of(texts) == ("bad", 3)
    assert any("'bad', has 3 examples" in line for line in advice(training(50, [2, 1]), "x", rarest_of(texts)))
    assert rarest_of("a text") is None


def test_without_a_cause_another_size_is_the_advice() -> None:
    (_, line) = advice(training(40, [1, 1, 1, 1, 1], stopped="patience"), "Theta")
    assert "memfold tune" in line


def test_a_sentence_is_said_in_chinese_too() -> None:
    lines = advice(training(50, [5, 4, 3, 2, 1]), "Theta")
    assert all(Words("zh").of(line) != line for line in lines)


def test_what_is_scored_counts_before_what_is_validated_on() -> None:
    won = Contest("accuracy", "higher", {ANSWER: 90.0, "majority": 50.0})
    first = Metric("accuracy", "higher")
    assert better_baseline(won, first, {}) == ""
    assert better_baseline(won, first, {ANSWER: {"accuracy": 40.0}, "majority": {"accuracy": 50.0}}) == "majority"
    lost = Contest("accuracy", "higher", {ANSWER: 40.0, "majority": 50.0})
    assert better_baseline(lost, first, {}) == "majority"
    assert better_baseline(None, first, {}) == ""

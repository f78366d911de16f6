"""Which mistakes are shown beside a table of confusions."""

import numpy as np

from memfold.tasks.confusion import confused_examples, mistake_table


def test_the_commonest_confusion_comes_first_and_in_it_the_surest_mistake() -> None:
    truth = np.array([0, 0, 0, 1, 2, 0, 0])
    answers = [(1, 0.5), (1, 0.9), (0, 0.8), (0, 0.99), (2, 0.7), (1, 0.6), (1, 0.8)]
    probabilities = np.zeros((7, 3))
    for row, (answer, sure) in enumerate(answers):
        probabilities[row] = (1 - sure) / 2
        probabilities[row, answer] = sure
    assert confused_examples(truth, probabilities) == [1, 6, 5, 3]
    names = [f"recording {row}" for row in range(7)]
    table = mistake_table("recording", names, truth, probabilities, ["no", "yes", "up"])
    assert table is not None
    cells = [[str(cell) for cell in column.cells] for column in table.columns]
    assert cells == [
        ["recording 1", "recording 6", "recording 5", "recording 3"],
        ["no", "no", "no", "yes"],
        ["yes", "yes", "yes", "no"],
        ["0.900", "0.800", "0.600", "0.990"],
    ]


def test_without_a_mistake_there_is_no_table() -> None:
    assert mistake_table("text", ["a"], np.array([0]), np.array([[0.9, 0.1]]), ["a", "b"]) is None

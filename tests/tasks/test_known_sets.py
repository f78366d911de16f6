"""A known set is taken by the tasks that it is for, under its own name, and by no other."""

from pathlib import Path

import pytest

from memfold.data.datasets import DATASETS, load_split
from memfold.errors import InputError
from memfold.tasks.registry import TASKS, task_class


def of(task: str) -> list[str]:
    return [f"@{known.name}" for known in DATASETS.values() if known.task == task]


WITH_SETS = [task for task in TASKS if of(task)]


@pytest.mark.parametrize("task", TASKS)
def test_an_unknown_set_is_refused_with_those_of_the_task(task: str) -> None:
    kind, takes = task_class(task), ", ".join(of(task)) or "none"
    for read in (kind().parts, kind.known_parameters):
        with pytest.raises(InputError, match=f"^@nonsense: no such data set; {task} takes {takes}$"):
            read(["@nonsense"])


@pytest.mark.parametrize("task", TASKS)
def test_a_set_of_another_task_is_refused_by_its_name(task: str) -> None:
    for known in DATASETS.values():
        if known.task != task:
            with pytest.raises(InputError, match=f"^@{known.name} is a set for {known.task}; {task} takes "):
                task_class(task)().parts([f"@{known.name}"])


@pytest.mark.parametrize("task", WITH_SETS)
def test_a_set_stands_alone(task: str) -> None:
    for data in ([of(task)[0], "more.csv"], ["more.csv", of(task)[0]]):
        with pytest.raises(InputError, match=f"^{of(task)[0]}: 2 files given; a known data set stands alone$"):
            task_class(task)().parts(data)


def test_what_exists_under_the_name_of_a_set_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("@mine.csv").write_text("ds,y\n" + "".join(f"{t},{t % 7}\n" for t in range(60)))
    kind = task_class("forecast")
    assert kind.known_parameters(["@mine.csv"]) == {}
    assert kind(horizon=4, seasons=(7,)).parts(["@mine.csv"]).test.lengths.tolist() == [60]


def test_series_are_not_read_from_a_set_of_another_kind() -> None:
    with pytest.raises(InputError, match="@nab is a set for anomaly; forecast takes"):
        load_split("nab")

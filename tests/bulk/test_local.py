"""Units of work in processes of one machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk.work import EndsProcess, doubled, refused, threads
from memfold.bulk.executor import ATTEMPTS, Lost
from memfold.bulk.local import Local
from memfold.errors import InputError


@pytest.mark.parametrize("workers", [1, 2])
def test_every_unit_is_done_once(workers: int) -> None:
    assert sorted(Local(workers).run(range(9), doubled)) == [(unit, 2 * unit) for unit in range(9)]


def test_a_worker_has_one_thread() -> None:
    assert list(Local(1).run([0], threads)) == [(0, (1, "1"))]


def test_a_unit_whose_process_is_killed_is_done_by_another(tmp_path: Path) -> None:
    work = EndsProcess(str(tmp_path), units=(1, 4), times=1)
    assert sorted(Local(2).run(range(6), work)) == [(unit, unit) for unit in range(6)]
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "0-0", "1-0", "1-1", "2-0", "3-0", "4-0", "4-1", "5-0",
    ]  # fmt: skip


def test_a_unit_that_kills_every_process_is_given_up_and_the_others_are_done(tmp_path: Path) -> None:
    results = dict(Local(1).run(range(3), EndsProcess(str(tmp_path), units=(1,), times=99)))
    assert results.pop(1) == Lost(f"{ATTEMPTS} processes that had it ended (by signal 9)")
    assert results == {0: 0, 2: 2}


def test_what_the_work_raises_is_raised() -> None:
    with pytest.raises(InputError, match="3: is odd"):
        list(Local(1).run(range(9), refused))


def test_units_are_taken_when_there_is_room_for_them() -> None:
    taken = []

    def units() -> Iterator[int]:
        for unit in range(6):
            taken.append(unit)
            yield unit

    for done, (_, _) in enumerate(Local(2).run(units(), doubled)):
        assert len(taken) <= done + 2

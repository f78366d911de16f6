import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import memfold
from memfold import training
from memfold.errors import InputError
from memfold.formats.checkpoint import read_checkpoint
from memfold.training import Budget, Problem, Settings, Validation, rehearse, train


class Line(Problem):
    """Least squares on a line, with dropout, so that a run depends on torch's generator, and a carried sum."""

    metric = "valid loss"
    steps_per_epoch = 4

    def __init__(self, broken_at: int | None = None) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Dropout(0.1), nn.Linear(3, 1))
        self.broken_at, self.steps = broken_at, 0
        self.total = torch.zeros(1)

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(epoch)
        for _ in range(self.steps_per_epoch):
            x = torch.randn(8, 3, generator=generator)
            yield x, x @ torch.tensor([[1.0], [2.0], [3.0]])

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        self.steps += 1
        self.total = self.total + batch[0].sum()
        loss = (self.model(batch[0]) - batch[1]).square().mean()
        return loss * (math.nan if self.steps == self.broken_at else 1)

    def validate(self) -> float:
        return (self.model[1].weight - torch.tensor([[1.0, 2.0, 3.0]])).square().sum().item()

    def carried(self) -> dict[str, Tensor]:
        return {"total": self.total}

    def restore(self, carried: dict[str, Tensor]) -> None:
        self.total = carried["total"]


class Stop(KeyboardInterrupt):
    """Raised by `StopAt`, as Ctrl-C would be."""


class StopAt:
    """Progress that presses Ctrl-C at a step."""

    def __init__(self, step: int) -> None:
        self.left = step

    def step(self, fraction: float, epoch: int, loss: float) -> None:
        self.left -= 1
        if self.left == 0:
            raise Stop

    def validated(self, row: Validation, metric: str, best: bool) -> None:
        pass


def settings(**changes: object) -> Settings:
    return Settings(**{"budget": Budget(epochs=6), "lr": 0.1, "checkpoint_seconds": 0.0, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "3", "0m", "-1m", "1.5ep", "0ep", "3 minutes", "ep"])
def test_a_budget_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected a positive time"):
        Budget.parse(text)


def test_training_learns_and_ends_with_its_best_weights() -> None:
    problem = Line()
    before = problem.validate()
    result = train(problem, settings(budget=Budget(epochs=100)))
    assert result.steps == 400
    assert result.stopped == "budget"
    assert result.best_score < before / 10
    assert problem.validate() == result.best_score == min(row.score for row in result.curve)
    assert not problem.model.training


@pytest.mark.alone
def test_a_budget_in_seconds_is_kept_validation_included() -> None:
    problem = Line()
    begun = time.monotonic()
    result = train(problem, settings(budget=Budget(seconds=0.5)))
    assert 0.3 < result.seconds <= time.monotonic() - begun
    assert time.monotonic() - begun < 2
    assert len(result.curve) >= 2


def test_of_two_budgets_the_one_that_ends_first_counts() -> None:
    assert train(Line(), settings(budget=Budget(seconds=60, epochs=2))).steps == 8
    begun = time.monotonic()
    result = train(Line(), settings(budget=Budget(seconds=0.3, epochs=10**9)))
    assert result.stopped == "budget"
    assert time.monotonic() - begun < 2


def test_a_problem_may_want_no_more_epochs_than_some() -> None:
    problem = Line()
    problem.most_epochs = 3
    result = train(problem, settings(budget=Budget(seconds=60)))
    assert (result.stopped, result.steps) == ("enough", 12)
    assert result.as_planned
    assert "; 12 steps, 3 epochs, in " in rehearse(problem, settings(budget=Budget(seconds=60)))["speed"]
    result = train(problem, settings(budget=Budget(epochs=5)))  # as somebody wanted it
    assert (result.stopped, result.steps) == ("budget", 20)
    problem.most_epochs = 10**9
    assert train(problem, settings(budget=Budget(seconds=0.2))).stopped == "budget"


@pytest.mark.parametrize(("epochs", "steps"), [(5, [6, 12, 18, 20]), (6, [6, 12, 18, 24])])
def test_validations_every_so_many_steps_and_at_the_end(epochs: int, steps: list[int]) -> None:
    result = train(Line(), settings(budget=Budget(epochs=epochs), every=6))
    assert [row.step for row in result.curve] == steps


def test_a_solved_problem_ends_the_training() -> None:
    problem = Line()
    problem.solved = lambda: True  # type: ignore[method-assign]
    result = train(problem, settings(every=5))
    assert (result.stopped, result.steps, len(result.curve)) == ("solved", 5, 1)
    assert result.as_planned
    assert result.exit_status == 0


@pytest.mark.parametrize(("last", "expected"), [(1.0, [0.1] * 24), (0.01, None)])
def test_the_rate_falls_to_its_last_share(last: float, expected: list[float] | None) -> None:
    loop = training._Loop(Line(), settings(warm_up=0.0, last_rate=last), None, "", None)
    rates = [loop.rate(step / 24) for step in range(24)]
    assert rates == (expected or sorted(rates, reverse=True))
    assert loop.rate(1.0) == pytest.approx(0.1 * last)


@pytest.mark.parametrize("stop", [2, 5, 8, 13, 23, 24])
def test_a_resumed_training_ends_with_the_same_bits(tmp_path: Path, stop: int) -> None:
    whole = Line()
    expected = train(whole, settings())
    checkpoint = tmp_path / "checkpoint.safetensors"
    stopped = Line()
    assert train(stopped, settings(), checkpoint=checkpoint, progress=StopAt(stop)).stopped == "interrupted"
    resumed = Line()
    torch.manual_seed(99)  # whatever a new process starts with
    result = train(resumed, settings(), checkpoint=checkpoint, resume=True)
    assert [(row.step, row.score, row.train_loss) for row in result.curve] == [
        (row.step, row.score, row.train_loss) for row in expected.curve
    ]
    assert torch.equal(resumed.total, whole.total)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name


def test_resuming_a_finished_training_takes_no_step(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    first = train(Line(), settings(), checkpoint=checkpoint)
    again = train(Line(), settings(), checkpoint=checkpoint, resume=True)
    assert again.steps == first.steps


def test_ctrl_c_keeps_the_best_so_far() -> None:
    problem = Line()
    result = train(problem, settings(budget=Budget(epochs=100)), progress=StopAt(201))
    assert result.stopped == "interrupted"
    assert result.steps == 201
    assert problem.validate() == result.best_score < 14


def test_a_loss_that_is_not_finite_stops_with_the_last_good_weights_and_names_the_step() -> None:
    problem = Line(broken_at=15)
    result = train(problem, settings())
    assert result.stopped == "non-finite"
    assert "step 15, epoch 4: the loss became nan" in result.message
    assert "learning rate" in result.message
    assert all(value.isfinite().all() for value in problem.model.state_dict().values())
    assert problem.validate() == result.best_score


def test_a_first_loss_that_is_not_finite_is_put_down_to_the_input() -> None:
    assert "an input that is not finite" in train(Line(broken_at=1), settings()).message


def test_patience_stops_early() -> None:
    problem = Line()
    problem.validate = lambda: 1.0  # type: ignore[method-assign]
    result = train(problem, settings(budget=Budget(epochs=100), patience=3))
    assert result.stopped == "patience"
    assert len(result.curve) == 4


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    train(Line(), settings(), checkpoint=checkpoint, identity="a")
    with pytest.raises(InputError, match="belongs to a training with other data or settings"):
        train(Line(), settings(), checkpoint=checkpoint, resume=True, identity="b")


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    train(Line(), settings(), checkpoint=checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-10])
    with pytest.raises(InputError, match="not a readable checkpoint"):
        train(Line(), settings(), checkpoint=checkpoint, resume=True)


def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    train(Line(), settings(budget=Budget(epochs=1)), checkpoint=checkpoint)
    before = checkpoint.read_bytes()

    def full(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half a file")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("memfold.formats.checkpoint.save_file", full)
    with pytest.raises(InputError, match=r"No space left on device.*untouched"):
        train(Line(), settings(), checkpoint=checkpoint)
    assert checkpoint.read_bytes() == before
    assert list(tmp_path.iterdir()) == [checkpoint]
    read_checkpoint(checkpoint)


def test_the_speed_counts_what_batches_hold_and_the_time_in_recurrent_layers() -> None:
    class Rows(Line):
        unit = "rows"

        def count(self, batch: tuple[Tensor, Tensor]) -> int:
            return len(batch[0])

    result = train(Rows(), Settings(Budget(epochs=2)))
    assert result.units == 2 * 4 * 8
    assert 0 < result.step_seconds < result.seconds
    assert result.engine_seconds == 0
    assert result.speed("rows").endswith(" rows a second, 0 % of the time in the recurrent layers")

    class Recurrent(Line):
        def __init__(self) -> None:
            super().__init__()
            self.model = memfold.nn.GRU(3, 64)

        def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
            return self.model(batch[0][:, None])[0].square().mean()

        def validate(self) -> float:
            return 0.0

    result = train(Recurrent(), Settings(Budget(epochs=2)))
    assert 0 < result.engine_seconds < result.step_seconds


def test_torch_has_one_thread_while_other_programs_have_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    seen: list[int] = []

    class Watched(Line):
        def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
            seen.append(torch.get_num_threads())
            return super().loss(batch)

    alone = iter([False, True, True, False, True])
    monkeypatch.setattr(training._engine, "works_alone", lambda threads: next(alone, True))
    try:
        train(Watched(), Settings(Budget.parse("0.2s")))
        assert seen[:5] == [2, 1, 1, 2, 1]
        assert torch.get_num_threads() == 2
        seen.clear()
        train(Watched(), Settings(Budget.parse("2ep")))
        assert set(seen) == {2}, "counted steps give the same whatever the machine does"
    finally:
        torch.set_num_threads(before)


@pytest.mark.alone
def test_a_budget_of_seconds_does_not_count_what_the_process_was_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "STOPPED_SECONDS", 0.2)

    class Stopped(Line):
        def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
            if self.steps == 3:
                time.sleep(0.6)
            return super().loss(batch)

    begun = time.monotonic()
    result = train(Stopped(), Settings(Budget.parse("0.5s")))
    assert result.stopped == "budget"
    assert time.monotonic() - begun > 1.0
    assert result.seconds < 0.7

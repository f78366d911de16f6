"""``torch.ops.memfold.fold`` and ``fold_backward`` called directly: what does not fit is refused, not read beyond."""

from typing import Any

import pytest
import torch

import memfold.nn  # noqa: F401  which defines the operators

T, B, F, H = 4, 3, 5, 6


def arguments(**changes: Any) -> tuple[Any, ...]:
    """A call that fits, but for the changes."""
    own: dict[str, Any] = {
        "x": torch.randn(T, B, F),
        "weights": [torch.randn(shape) for shape in ((24, F), (24, H), (24,), (24,))],
        "state": [torch.randn(1, B, H) for _ in range(2)],
        "lengths": None,
        "resets": None,
        "mask": None,
        "zones": [None, None],
        "cell": "lstm",
        "directions": 1,
        "clip": None,
        "zoneout": [0.0, 0.0],
    }
    return tuple((own | changes).values())


def test_a_call_that_fits_is_the_layers() -> None:
    y, state, kept = torch.ops.memfold.fold(*arguments(), False, True)
    assert y.shape == (T, B, H)
    assert [part.shape for part in state] == [(1, B, H)] * 2
    assert kept.shape == (T, B, 1, 5, H)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown cell": ({"cell": "gru2"}, "cell must be one of"),
    "x of two axes": ({"x": torch.randn(B, F)}, "x must be"),
    "weights for another input": ({"x": torch.randn(T, B, F + 1)}, "weight_ih must be"),
    "weights of another cell": ({"cell": "gru", "state": [torch.randn(1, B, H)], "zones": [None]}, "weight_ih must be"),
    "weights of another type": ({"weights": [torch.randn(24, 5).double(), torch.randn(24, 6)]}, "weight_ih must be"),
    "one weight": ({"weights": [torch.randn(24, 5)]}, "2 to 5 weights"),
    "three directions": ({"directions": 3}, "directions must have"),
    "a state for fewer rows": ({"state": [torch.randn(1, B - 1, H)] * 2}, "h must be"),
    "a state of one part": ({"state": [torch.randn(1, B, H)]}, "the state must be"),
    "a state of another type": ({"state": [torch.randn(1, B, H).double()] * 2}, "h must be"),
    "lengths for fewer rows": ({"lengths": torch.ones(B - 1, dtype=torch.int64)}, "lengths must be"),
    "lengths of another type": ({"lengths": torch.ones(B, dtype=torch.int32)}, "lengths must be"),
    "lengths beyond T": ({"lengths": torch.full((B,), T + 1)}, "lengths must be"),
    "resets for fewer steps": ({"resets": torch.zeros(T - 1, B, dtype=torch.bool)}, "resets must be"),
    "a mask for other units": ({"mask": torch.ones(1, B, H - 1)}, "mask must be"),
    "zones for fewer steps": ({"zones": [torch.ones(1, T - 1, B, H), None]}, "zones of h must be"),
    "zones of one part": ({"zones": [None]}, "zones must have"),
    "zoneout of one part": ({"zoneout": [0.1]}, "zoneout must have"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_fold_whose_sizes_do_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        torch.ops.memfold.fold(*arguments(**changes), False, False)


def backward(**changes: Any) -> tuple[Any, ...]:
    call = arguments()
    y, _, kept = torch.ops.memfold.fold(*call, False, True)
    own = {"y": y, "kept": kept, "dy": torch.ones_like(y), "dstate": [None, None], "needs": [True] * 7}
    return (*call, *(own | changes).values())


def test_a_backward_pass_that_fits_gives_every_gradient() -> None:
    gradients = torch.ops.memfold.fold_backward(*backward())
    assert [g.shape for g in gradients[:3]] == [(T, B, F), (1, B, H), (1, B, H)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y": torch.zeros(T, B, H - 1)}, "y must be"),
        ({"kept": torch.zeros(T, B, 1, 0, H)}, "kept must be"),
        ({"dy": torch.zeros(T, B - 1, H)}, "dy must be"),
        ({"dstate": [None, torch.zeros(1, B, H + 1)]}, "dc must be"),
        ({"dstate": [None]}, "dstate must have"),
        ({"needs": [True]}, "needs must"),
    ],
)
def test_a_backward_pass_whose_sizes_do_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        torch.ops.memfold.fold_backward(*backward(**changes))

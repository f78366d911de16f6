"""The model that an update goes on from: its weights in a network that may be larger, and the pace of the training."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memfold.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from memfold.tasks.fitting import Fitting

__all__ = ["Origin"]

BESIDE, ALONE = 0.5, 0.25  # of the task's learning rate: with the old data given again, and with new data alone
PATIENCE = 5  # validations without a better one, with new data alone


@dataclass(frozen=True)
class Origin:
    """Where an update goes on from.

    Attributes:
        model: fitted; it stays as it is.
        rehearses: whether its old data is given again beside the new.
        rescale: whether what the network reads is scaled by the data of the update, and not as before.
        given: the parameters that somebody has set for the update.
    """

    model: Any
    rehearses: bool = False
    rescale: bool = False
    given: tuple[str, ...] = ()

    @property
    def mark(self) -> str:
        """The weights that it starts from, by a hash."""
        sha = hashlib.sha256(str((self.rehearses, self.rescale)).encode())
        for name, value in sorted(self.model.network_.state_dict().items()):
            sha.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        return sha.hexdigest()

    def pace(self, task: "Fitting") -> tuple[float, int | None]:
        """The learning rate and the patience of an update; what somebody has set for it is taken as it is."""
        rate, patience = float(task.chosen.lr), task.patience
        if "lr" not in self.given:
            rate *= BESIDE if self.rehearses else ALONE
        if patience is None and not self.rehearses and "patience" not in self.given:
            patience = PATIENCE
        return rate, patience

    def start(self, task: "Fitting", network: Any) -> None:
        """Put the earlier weights into a network; what is new there keeps its first weights.

        Raises:
            InputError: the networks do not fit each other.
        """
        module: Any = task.updating()
        places: Mapping[str, Sequence[int]] = module.places(task) if hasattr(module, "places") else {}
        anew = (*getattr(module, "APART", ()), *(getattr(module, "SCALING", ()) if self.rescale else ()))
        old: dict[str, Tensor] = self.model.network_.state_dict()
        for name, value in network.state_dict().items():
            if name in old and not name.endswith(anew):
                _put(name, value, old[name], next((places[end] for end in places if name.endswith(end)), None))


def _put(name: str, value: "Tensor", old: "Tensor", rows: Sequence[int] | None) -> None:
    """Copy a tensor into one that may have more rows.

    Args:
        rows: where each row of the old one goes; None where they stay in their places.

    Raises:
        InputError: their shapes do not fit.
    """
    if value.shape == old.shape and rows is None:
        value.copy_(old)
        return
    if not old.dim() or value.shape[1:] != old.shape[1:] or len(value) < len(old):
        raise InputError(
            f"the weights {name} of the model are {tuple(old.shape)}, those of the update {tuple(value.shape)}"
        )
    value[list(range(len(old)) if rows is None else rows)] = old

"""Which training texts each member of an ensemble leaves out, so that there is more to validate on."""

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Folds"]


@dataclass(frozen=True)
class Folds:
    """The fold that every training text is in. The member at place m learns from all but fold m modulo ``count``.

    Attributes:
        of: by text, (S,); -1 for one that no member leaves out.
        count: of the folds; at most as many as members.
    """

    of: Tensor
    count: int

    def rows(self, fold: int) -> list[int]:
        """The places of the texts in a fold."""
        return [int(row) for row in (self.of == fold).nonzero().ravel()]

    @property
    def covered(self) -> list[int]:
        """The places of the texts in any fold, one fold after another."""
        return [row for fold in range(self.count) for row in self.rows(fold)]

    def learned(self, member: int, rows: Tensor) -> Tensor:
        """Weights of texts in a member's loss, from their places (B,): 0 for those that it leaves out.

        The mean weight of all texts is about 1.
        """
        return (self.of[rows] != member % self.count) * (self.count / (self.count - 1))

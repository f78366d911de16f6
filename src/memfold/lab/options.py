"""The cells and lags that a person asks for, checked."""

from memfold.errors import InputError
from memfold.lab.networks import COMPARED_CELLS

__all__ = ["checked_cells", "checked_lags"]


def checked_cells(names: str) -> list[str]:
    """The cells named in a list with commas.

    Raises:
        InputError: one that the lab does not have.
    """
    cells = [name.strip() for name in names.split(",")]
    for cell in cells:
        if cell not in COMPARED_CELLS:
            raise InputError(f"--cells: there is no {cell!r}; there is {', '.join(COMPARED_CELLS)}")
    return cells


def checked_lags(text: str | None) -> list[int]:
    """The lags in a list with commas; none of None.

    Raises:
        InputError: one that is no whole number, or below 8.
    """
    if text is None:
        return []
    try:
        lags = [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--lags {text}: expected whole numbers with commas between, such as 100,200") from None
    if min(lags) < 8:
        raise InputError(f"--lags {text}: 8 is the shortest")
    return lags

"""The table of cells beside the engine's own, and beside the formulas in torch's operators."""

import pytest

from memfold import _engine
from memfold.cells.table import CELLS
from memfold.nn.composition import FORMULAS

every_engine_cell = pytest.mark.parametrize(
    ("name", "gates", "state", "kept", "peepholes"), _engine.cells(), ids=[name for name, *_ in _engine.cells()]
)
Names = tuple[str, ...]


@every_engine_cell
def test_the_engines_cell_is_that_of_the_table(
    name: str, gates: Names, state: Names, kept: Names, peepholes: int
) -> None:
    """A line in native/cells.def without one in the table fails here, and so does one with other traits."""
    assert name in CELLS
    cell = CELLS[name]
    assert gates == cell.gates
    assert state == cell.state
    assert peepholes == len(cell.peepholes)


@every_engine_cell
def test_the_engine_keeps_what_a_trace_is_made_of(
    name: str, gates: Names, state: Names, kept: Names, peepholes: int
) -> None:
    cell = CELLS[name]
    assert set(cell.values) <= {*kept, "h", *cell.complements}
    assert set(cell.complements.values()) <= set(kept)
    assert kept[len(kept) - len(state) + 1 :] == state[1:]


def test_every_cell_has_a_formula_in_torchs_operators() -> None:
    assert set(FORMULAS) == set(CELLS)


@pytest.mark.parametrize("name", CELLS)
def test_a_cells_names_fit_each_other(name: str) -> None:
    cell = CELLS[name]
    assert cell.state[0] == "h"
    assert set(cell.state) <= set(cell.values)
    assert set(cell.gates) <= set(cell.values)
    assert set(cell.peepholes) <= set(cell.gates)

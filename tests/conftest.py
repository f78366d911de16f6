"""The largest difference to every oracle, by cell, printed at the end of a run; and torch on one thread."""

from collections import defaultdict
from collections.abc import Callable

import pytest
import torch

# The tests' tensors are small, and two threads would mostly wait for each other.
torch.set_num_threads(1)

_DIFFERENCES: dict[tuple[str, str], list[float]] = defaultdict(list)


@pytest.fixture
def record_difference() -> Callable[[str, str, float], None]:
    """``record_difference(oracle, cell, difference)`` adds a comparison to the table."""
    return lambda oracle, cell, difference: _DIFFERENCES[oracle, cell].append(difference)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _DIFFERENCES:
        return
    terminalreporter.section("largest difference to each oracle")
    for (oracle, cell), differences in sorted(_DIFFERENCES.items()):
        terminalreporter.write_line(f"{oracle:24} {cell:28} {max(differences):.1e}  in {len(differences)} comparisons")

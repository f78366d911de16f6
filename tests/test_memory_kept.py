"""What a training asks of the C library."""

import platform
import sys

import pytest
import torch

from memfold.system import memory_kept


def page_faults(megabytes: int, times: int) -> int:
    """While so many blocks are taken, filled and freed, after a first one."""
    import resource

    torch.ones(megabytes << 18)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        torch.ones(megabytes << 18)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone is asked")
def test_large_blocks_are_taken_from_what_was_freed() -> None:
    with memory_kept():
        kept = page_faults(80, 5)
    returned = page_faults(80, 5)
    assert kept < returned / 4
    with open("/proc/self/statm") as sizes:
        pages = int(sizes.read().split()[1])
    with memory_kept():
        torch.ones(200 << 18)
    with open("/proc/self/statm") as sizes:
        assert int(sizes.read().split()[1]) < pages + 10_000  # 40 MB: in the end it is given back


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctypes", None)
    with memory_kept():
        assert torch.ones(3).sum() == 3

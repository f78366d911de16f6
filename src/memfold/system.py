"""What operating systems do otherwise than each other, below Python's own library."""

import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["locked", "most_memory", "process_runs", "sync", "sync_names"]


def sync(file: Path) -> None:
    """Have a file's content reach the disk."""
    with open(file, "r+b" if os.name == "nt" else "rb") as opened:  # Windows syncs nothing that is open for reading
        os.fsync(opened.fileno())


def sync_names(folder: Path) -> None:
    """Have the names in a folder, not only the files' contents, reach the disk, where the system can do that."""
    with suppress(OSError):  # Windows opens no folder
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Hold a folder's lock for a while, which nothing is written for and which ends with the process.

    Yields:
        False where another process, or another call in this one, holds it. True too where the system has no such lock.
    """
    try:
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):  # Windows; a folder that may be written but not be read
        yield True
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:  # a file system without locks
            yield True
            return
        yield True
    finally:
        os.close(handle)


def process_runs(process: int) -> bool:
    """Whether there is a process with this number."""
    if sys.platform == "win32":  # where os.kill with 0 sends Ctrl-C
        import ctypes

        query, denied, still_active = 0x1000, 5, 259
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.OpenProcess.restype = ctypes.c_void_p
        handle = ctypes.c_void_p(kernel.OpenProcess(query, False, process))
        if not handle:
            return ctypes.get_last_error() == denied
        code = ctypes.c_ulong()
        kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        kernel.CloseHandle(handle)
        return code.value == still_active
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def most_memory() -> float:
    """Bytes: the most that this process has had at once; not a number where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return math.nan
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most * (1.0 if sys.platform == "darwin" else 1024.0)

"""The command line within the test's process: a process of its own would import everything again, which is most of what
a short command takes."""

import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from memfold.cli import run


def run_here(*arguments: str, folder: Path | None = None, given: str | bytes = "") -> subprocess.CompletedProcess[str]:
    """What ``memfold ARGUMENTS`` answers in a folder when it is given a text on its standard input."""
    typed = given if isinstance(given, bytes) else given.encode()
    out, err, text = (io.TextIOWrapper(io.BytesIO(own), "utf-8") for own in (b"", b"", typed))
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["memfold", *arguments])
        patch.setattr(sys, "stdin", text)
        if folder is not None:
            patch.chdir(folder)
        code = run()
    printed, said = (file.detach().getvalue().decode() for file in (out, err))  # type: ignore[attr-defined]
    return subprocess.CompletedProcess(arguments, code, printed, said)

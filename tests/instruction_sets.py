"""What a test's numbers are by each instruction set of this machine."""

import os
import subprocess
import sys

import pytest


def digests(module: str) -> dict[str, str]:
    """What ``digest()`` of a test's module returns by v3, v4 and v4-bf16, each in a process of its own; skips the test
    where the machine has but one of these. v2 is not among them, as its gates round otherwise."""
    result = {}
    for isa in ("v3", "v4", "v4-bf16"):
        command = [sys.executable, "-c", f"import {module}; print({module}.digest())"]
        environment = os.environ | {"MEMFOLD_ISA": isa, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
        process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if process.returncode == 0:
            result[isa] = process.stdout
        else:
            assert "this machine has" in process.stderr, process.stderr
    if len(result) < 2:
        pytest.skip("this machine has one of these instruction sets at most")
    return result

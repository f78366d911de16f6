"""Tests of an installed memfold, where nothing but its dependencies and pytest is: ``python installed.py CLONE``.

memfold is taken from where it is installed, not from the clone. The tests are those of the engine and of the cells that
need NumPy alone.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

import memfold
from memfold import engine


def main(clone: Path) -> int:
    """Run the tests that lie in a clone; their exit code."""
    home = Path(memfold.__file__).resolve()
    if home.is_relative_to(clone / "src"):
        sys.exit(f"memfold comes from the clone, {home}, not from a wheel")
    heavy = [name for name in ("torch", "polars", "typer", "scipy") if importlib.util.find_spec(name)]
    if heavy:
        sys.exit(f"this is to run where memfold stands alone; there is {', '.join(heavy)} here")
    print(f"memfold {memfold.__version__} from {home.parent}, {engine.isa()}")
    tests = [clone / "tests" / "cells", clone / "tests" / "engine"]
    chosen = ["-m", "not slow and not alone and not release", "--quiet", "--config-file", clone / "pyproject.toml"]
    return subprocess.run([sys.executable, "-m", "pytest", *chosen, *tests], cwd=clone, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))

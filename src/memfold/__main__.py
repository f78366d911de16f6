"""``python -m memfold`` and the ``memfold`` command."""

import os
import sys


def main() -> None:
    """Run the command line; says what to install when it cannot."""
    # torch's OpenMP workers spin between operators. On a machine that does anything else at the time, they and what
    # they wait for take turns on the same cores, and small models train tens of times slower. OpenMP reads this once,
    # when torch is loaded. Benchmarks take torch as it comes: it is faster on a machine of its own that way.
    if sys.argv[1:2] != ["bench"]:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        from memfold.cli import run
    except KeyboardInterrupt:
        print("memfold: interrupted", file=sys.stderr)
        sys.exit(130)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("memfold"):  # a fault of ours
            raise
        needed = f"the command line needs {error.name}: pip install 'memfold[cli]', or [train,series] to train"
        print(f"memfold: {needed}", file=sys.stderr)
        sys.exit(2)
    except (ImportError, MemoryError) as error:  # a library that cannot be loaded, for want of memory for example
        if isinstance(error, ImportError) and (error.name or "").startswith("memfold"):
            raise
        what = str(error).strip().splitlines() or ["there is too little memory"]
        print(f"memfold: it cannot be loaded ({what[0]})", file=sys.stderr)
        sys.exit(2)
    sys.exit(run())


if __name__ == "__main__":
    main()

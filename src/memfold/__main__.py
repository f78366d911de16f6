"""``python -m memfold`` and the ``memfold`` command."""

import sys


def main() -> None:
    """Run the command line; says what to install when it cannot."""
    try:
        from memfold.cli import run
    except ModuleNotFoundError as error:
        sys.exit(f"memfold: the command line needs {error.name}: pip install 'memfold[train,series]'")
    sys.exit(run())


if __name__ == "__main__":
    main()

"""The command line: parses, calls, prints. PyTorch is imported by the commands that need it, not by ``--help``.

A command lies in the module of its kind, and is listed by ``memfold --help`` in the order of their imports here.
"""

from memfold.cli import (  # isort: skip
    fitting,
    answering,
    streaming,
    explaining,
    exporting,
    measuring,
    listing,
)
from memfold.cli.options import app
from memfold.cli.running import run, spread_settings

__all__ = [
    "answering",
    "app",
    "explaining",
    "exporting",
    "fitting",
    "listing",
    "measuring",
    "run",
    "spread_settings",
    "streaming",
]

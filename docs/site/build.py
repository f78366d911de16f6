"""Builds the documentation site into a folder, without a network; a warning is an error.

`make docs` runs this, and so does tests/test_site.py.
"""

import argparse
import shutil
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

from sphinx.cmd.build import main as sphinx

SITE = Path(__file__).parent
ROOT = SITE.parent.parent


def stay_offline() -> None:
    """Let whatever asks for another machine from now on fail."""

    def refuse(*arguments: Any, **options: Any) -> NoReturn:
        raise OSError("the site is built without a network")

    socket.socket.connect = refuse  # type: ignore[method-assign]
    socket.getaddrinfo = refuse


def build(source: Path, out: Path) -> int:
    """Build every page anew; the exit code, 0 where nothing was wrong."""
    stay_offline()
    shutil.rmtree(out, ignore_errors=True)
    notes = out.with_name(f"{out.name}-doctrees")  # on what was read, beside the site and not in it
    options = ["-q", "-W", "--keep-going", "-E", "-b", "html", "-c", str(SITE), "-d", str(notes)]
    return sphinx([*options, str(source), str(out)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="the folder; what it held is removed")
    parser.add_argument("--source", type=Path, default=ROOT, help="of the pages; the repository")
    arguments = parser.parse_args()
    sys.exit(build(arguments.source, arguments.out))

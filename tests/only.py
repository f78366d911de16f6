"""The command line where only some packages are installed: ``only.py PACKAGE... -- ARGUMENT...``.

The packages that those need are there as well; others cannot be imported, as if they were not installed.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def closure(packages: Iterable[str]) -> set[str]:
    """Packages with all that they require, as far as it is installed here."""
    known: set[str] = set()
    ahead = [canonicalize_name(package) for package in packages]
    while ahead:
        package = ahead.pop()
        if package in known:
            continue
        known.add(package)
        try:
            needed = [Requirement(text) for text in requires(package) or ()]
        except PackageNotFoundError:
            continue
        ahead += [canonicalize_name(r.name) for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})]
    return known


def hide(packages: Iterable[str]) -> None:
    """Keep this process from finding modules of other packages than these and those that they need."""
    allowed = closure(packages)
    origins: dict[str, set[str]] = defaultdict(set)
    for module, distributions in packages_distributions().items():
        origins[module] |= {canonicalize_name(name) for name in distributions}
    hidden = {module for module, names in origins.items() if not names & allowed}

    class Finder:
        def __init__(self, finder: Any) -> None:
            self.finder = finder

        def find_spec(self, name: str, *where: Any) -> ModuleSpec | None:
            found: ModuleSpec | None = self.finder.find_spec(name, *where)
            return None if name.partition(".")[0] in hidden else found

        def __getattr__(self, name: str) -> Any:
            return getattr(self.finder, name)

    sys.meta_path[:] = [Finder(finder) for finder in sys.meta_path]


if __name__ == "__main__":
    at = sys.argv.index("--")
    hide(["memfold", *sys.argv[1:at]])
    sys.argv = ["memfold", *sys.argv[at + 1 :]]
    from memfold.__main__ import main

    main()

"""What to call a network's layers in words."""

import re
from collections.abc import Sequence

from memfold.words import Words

__all__ = ["layer_names"]

KNOWN = ("encoder", "decoder", "columns", "rows", "fine", "middle", "coarse", "first", "upper")


def layer_names(paths: Sequence[str], words: Words) -> dict[str, str]:
    """Layers in words by their paths in the network; a path is added where two would be called alike.

    >>> layer_names(["members.0.lstm.l0", "members.1.lstm.l0_reverse"], Words())
    {'members.0.lstm.l0': 'network 1', 'members.1.lstm.l0_reverse': 'network 2, backwards'}
    """
    deep = len({_layer(path) for path in paths}) > 1
    named = {path: _name(path, deep, words) for path in paths}
    again = {name for name in named.values() if list(named.values()).count(name) > 1}
    return {path: f"{name} ({path})" if name in again else name for path, name in named.items()}


def _layer(path: str) -> int:
    inner = re.search(r"(?:^|\.)l(\d+)(?:_reverse)?$", path)
    outer = re.search(r"(?:^|\.)layers\.(\d+)", path)
    return int(outer[1]) if outer else int(inner[1]) if inner else 0


def _name(path: str, deep: bool, words: Words) -> str:
    parts = path.split(".")
    said = []
    for part, after in zip(parts, [*parts[1:], ""], strict=True):
        if part in ("members", "networks") and after.isdigit():
            said.append(words("path member", number=int(after) + 1))
        elif part in KNOWN:
            said.append(words(f"path {part}"))
    stage = re.search(r"stages\.(\d+)\.(\d+)", path)
    if stage:
        said.append(words("path block", number=f"{int(stage[1]) + 1}.{int(stage[2]) + 1}"))
    if deep or not said:
        said.append(words("path layer", number=_layer(path) + 1))
    if path.endswith("_reverse"):
        said.append(words("path reverse"))
    return ("，" if words.language == "zh" else ", ").join(said)

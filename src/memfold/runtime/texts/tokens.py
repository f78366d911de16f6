"""From texts to tokens: words where spaces part them, characters where none do."""

import re
import unicodedata

__all__ = ["PATTERN", "UNSPACED", "token_places", "tokens", "unspaced"]

# Scripts without spaces: Thai to Lao, Burmese, Khmer, kana, Chinese.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_MARKS = "".join(chr(code) for code in range(0x300, 0x10000) if unicodedata.category(chr(code)).startswith("M"))
UNSPACED = f"[{_UNSPACED}]"  # a character of these
PATTERN = rf"{UNSPACED}[{_MARKS}]*|(?:[^\W{_UNSPACED}][{_MARKS}]*)+|[^\w\s]"  # a token
_TOKEN, _ONE = re.compile(PATTERN), re.compile(UNSPACED)


def tokens(text: str) -> list[str]:
    """The words, single characters of unspaced scripts, and punctuation marks of a text, in lower case.

    >>> tokens("It's GREAT, 酒店很好!")
    ['it', "'", 's', 'great', ',', '酒', '店', '很', '好', '!']
    """
    return _TOKEN.findall(unicodedata.normalize("NFKC", text).lower())


def token_places(text: str) -> list[int]:
    """For each character of ``text.lower()`` the place of its token among `tokens`, -1 where it belongs to none.

    >>> token_places("It is!")
    [0, 0, -1, 1, 1, 2]
    """
    clusters: list[str] = []  # a character with the marks on it, which NFKC may make one
    for character in text:
        if clusters and unicodedata.combining(character):
            clusters[-1] += character
        else:
            clusters.append(character)
    normal = [unicodedata.normalize("NFKC", cluster).lower() for cluster in clusters]
    owners = [-1] * len("".join(normal))
    for place, match in enumerate(_TOKEN.finditer("".join(normal))):
        owners[match.start() : match.end()] = [place] * (match.end() - match.start())
    places: list[int] = []
    begin = 0
    for cluster, written in zip(clusters, normal, strict=True):
        owner = max(owners[begin : begin + len(written)], default=-1)
        places += [owner] * len(cluster.lower())
        begin += len(written)
    return places


def unspaced(token: str) -> bool:
    """Whether a token is a character of a script without spaces."""
    return _ONE.match(token) is not None

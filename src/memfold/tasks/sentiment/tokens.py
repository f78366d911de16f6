"""From texts to tokens: words where spaces part them, characters where none do."""

import re
import unicodedata

__all__ = ["tokens", "unspaced"]

# Scripts without spaces: Thai to Lao, Burmese, Khmer, kana, Chinese.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_MARKS = "".join(chr(code) for code in range(0x300, 0x10000) if unicodedata.category(chr(code)).startswith("M"))
_TOKEN = re.compile(rf"[{_UNSPACED}][{_MARKS}]*|(?:[^\W{_UNSPACED}][{_MARKS}]*)+|[^\w\s]")
_ONE = re.compile(rf"[{_UNSPACED}]")


def tokens(text: str) -> list[str]:
    """The words, single characters of unspaced scripts, and punctuation marks of a text, in lower case.

    >>> tokens("It's GREAT, 酒店很好!")
    ['it', "'", 's', 'great', ',', '酒', '店', '很', '好', '!']
    """
    return _TOKEN.findall(unicodedata.normalize("NFKC", text).lower())


def unspaced(token: str) -> bool:
    """Whether a token is a character of a script without spaces."""
    return _ONE.match(token) is not None

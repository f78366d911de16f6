"""One search for both languages: English words by their stems, Chinese by pairs of neighbouring characters.

Pairs need no dictionary, and the reader's browser can split a query the same way: it finds every page that has all
pairs of the query. Sphinx's own search for Chinese splits the pages with a dictionary that the browser does not have.
"""

import re

from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish

CHINESE = "\u3400-\u4dbf\u4e00-\u9fff"
WORD = re.compile(rf"[{CHINESE}]+|[^\W{CHINESE}]+")

SPLITTER = rf"""
var splitQuery = (query) =>
  (query.match(/[{CHINESE}]+|(?:(?![{CHINESE}])[\p{{Letter}}\p{{Number}}_])+/gu) || []).flatMap((word) =>
    /^[{CHINESE}]{{3,}}$/.test(word)
      ? Array.from({{ length: word.length - 1 }}, (_, at) => word.slice(at, at + 2))
      : [word],
  );
"""


def pairs(word: str) -> list[str]:
    """A run of Chinese characters as single characters and pairs, any other word as it is.

    >>> pairs("遗忘门")
    ['遗', '忘', '门', '遗忘', '忘门']
    >>> pairs("lengths")
    ['lengths']
    """
    if not re.match(f"[{CHINESE}]", word):
        return [word]
    return [*word, *(word[at : at + 2] for at in range(len(word) - 1))]


class EnglishAndChinese(SearchEnglish):
    lang = "en-zh"
    language_name = "English"  # also the name of the stemmer in the browser
    js_splitter_code = SPLITTER

    def split(self, input: str) -> list[str]:
        return [part for word in WORD.findall(input) for part in pairs(word)]


def setup(app: Sphinx) -> None:
    app.add_search_language(EnglishAndChinese)

"""What pages say, in English and in Chinese: one table for all of them, and names that stand for themselves.

- `Words`: the table in one language.
- `said`: a sentence in English for a terminal or for JSON, which a page can say in its own language.
"""

from string import Formatter
from typing import Any

from memfold.errors import InputError
from memfold.words import demo, evaluation, explanation, instant, lab
from memfold.words.names import NAMES

__all__ = ["LANGUAGES", "NAMES", "TABLE", "Said", "Words", "said"]

LANGUAGES = ("en", "zh")
TABLE: dict[str, dict[str, str]] = {
    **explanation.TABLE,
    **evaluation.TABLE,
    **lab.TABLE,
    **demo.TABLE,
    **instant.TABLE,
}


class Said(str):
    """A sentence of the table in English, which knows how to be said in another language.

    Attributes:
        key: of the table.
        filled: what stands in its blanks.
    """

    key: str
    filled: dict[str, Any]


def said(key: str, **filled: Any) -> Said:
    """A sentence of the table, in English.

    >>> sentence = said("half-life", steps=7)
    >>> sentence, Words("zh").of(sentence)
    ('half of what it writes is gone after 7 steps', '写入的内容经 7 步减半')
    """
    sentence = Said(Words()(key, **filled))
    sentence.key, sentence.filled = key, filled
    return sentence


class Words:
    """The table in one language.

    Args:
        language: ``en`` or ``zh``.

    Raises:
        InputError: another language.

    >>> Words("en")("half-life", steps=7)
    'half of what it writes is gone after 7 steps'
    """

    def __init__(self, language: str = "en") -> None:
        if language not in LANGUAGES:
            raise InputError(f"--lang {language}: there is {' and '.join(LANGUAGES)}")
        self.language = language

    def __call__(self, key: str, **filled: Any) -> str:
        text = TABLE[key][self.language]
        if not filled:
            return text
        return _spaced(text, filled) if self.language == "zh" else text.format(**filled)

    def of(self, text: str) -> str:
        """What `said` gave, in this language, with what stands in its blanks; any other text as it is."""
        if not isinstance(text, Said):
            return text
        return self(text.key, **{blank: self._filling(value) for blank, value in text.filled.items()})

    def _filling(self, value: Any) -> Any:
        return self.name(self.of(value)) if isinstance(value, str) else value

    def joined(self, *sentences: str) -> str:
        """Sentences one after another; Chinese ones without a space between them, empty ones left out."""
        return ("" if self.language == "zh" else " ").join(filter(None, sentences))

    def name(self, name: str) -> str:
        """A name that memfold gives, as of a baseline or of a column; any other as it is.

        >>> Words("zh").name("most frequent class"), Words("zh").name("AutoTheta")
        ('最常见的类别', 'AutoTheta')
        """
        return NAMES.get(name, name) if self.language == "zh" else name


def _spaced(text: str, filled: dict[str, Any]) -> str:
    """A Chinese sentence with its blanks filled: a space stands where one ends in a Chinese character and the other in
    a Latin letter or a digit.

    >>> _spaced("胜出的是{name}：{score:.1f}", {"name": "Theta", "score": 0.25})
    '胜出的是 Theta：0.2'
    """
    sentence, formatter = "", Formatter()
    for literal, blank, form, conversion in formatter.parse(text):
        value = "" if blank is None else format(formatter.convert_field(filled[blank], conversion), form or "")
        for part in (literal, value):
            apart = sentence and part and (_is_chinese(sentence[-1]), _is_chinese(part[0])) in _MEETINGS
            meets = apart and (sentence[-1] + part[0]).isalnum()
            sentence += f" {part}" if meets else part
    return sentence


_MEETINGS = ((True, False), (False, True))


def _is_chinese(character: str) -> bool:
    return "\u4e00" <= character <= "\u9fff"

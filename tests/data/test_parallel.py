import gzip
from pathlib import Path

import pytest

from memfold.data.parallel import ParallelText, read_parallel
from memfold.errors import InputError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_two_files_are_read_line_by_line_packed_or_not(tmp_path: Path) -> None:
    english = write(tmp_path / "a.en", "one\ntwo\n")
    german = tmp_path / "a.de.gz"
    german.write_bytes(gzip.compress(b"eins\r\nzwei"))
    assert read_parallel([english, german]) == ParallelText(["one", "two"], ["eins", "zwei"])


def test_a_table_gives_its_first_two_columns_or_those_named(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain.tsv", "one\teins\tby A\ntwo\tzwei\n")
    assert read_parallel([plain]) == ParallelText(["one", "two"], ["eins", "zwei"])
    named = write(tmp_path / "named.tsv", "id\tde\ten\n1\teins\tone\n2\tzwei\ttwo\n")
    assert read_parallel([named], "en", "de") == ParallelText(["one", "two"], ["eins", "zwei"])


def test_pairs_with_an_empty_side_are_left_out_and_counted(tmp_path: Path) -> None:
    english = write(tmp_path / "a.en", "one\n\n three \nfour\n")
    german = write(tmp_path / "a.de", "eins\nzwei\ndrei\n  \n")
    assert read_parallel([english, german]) == ParallelText(["one", "three"], ["eins", "drei"], skipped=2)
    assert read_parallel([write(tmp_path / "t.tsv", "one\teins\n\ntwo\t\n")]).skipped == 2


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    two, three = write(tmp_path / "two", "a\nb\n"), write(tmp_path / "three", "a\nb\nc\n")
    with pytest.raises(InputError, match=r"unequal numbers of lines: .*two has 2, .*three has 3"):
        read_parallel([two, three])
    with pytest.raises(InputError, match="3 files given"):
        read_parallel([two, two, three])
    with pytest.raises(InputError, match=r"t\.tsv, line 2: 1 column, 2 expected"):
        read_parallel([write(tmp_path / "t.tsv", "one\teins\ntwo zwei\n")])
    with pytest.raises(InputError, match=r"t\.tsv, line 1: no column 'fr'; there is en, de"):
        read_parallel([write(tmp_path / "t.tsv", "en\tde\none\teins\n")], "en", "fr")
    with pytest.raises(InputError, match="give both"):
        read_parallel([write(tmp_path / "t.tsv", "en\tde\none\teins\n")], "en")
    with pytest.raises(InputError, match="no pair of sentences"):
        read_parallel([write(tmp_path / "t.tsv", "one\t\n\teins\n")])
    (tmp_path / "latin").write_bytes("Tür\nSüß\n".encode("latin-1"))
    with pytest.raises(InputError, match="latin, line 1: byte 0xfc is not utf-8"):
        read_parallel([two, tmp_path / "latin"])


def test_all_translations_of_a_sentence_are_its_references() -> None:
    text = ParallelText.of([("a", "x"), ("b", "y"), ("a", "z")])
    assert text.references() == (["a", "b"], [["x", "z"], ["y"]])


def test_a_split_holds_a_tenth_of_the_sentences_out_with_all_their_translations() -> None:
    text = ParallelText.of((f"s{i % 50}", f"t{i}") for i in range(200))
    rest, held = text.split()
    assert len(set(held.source)) == 5
    assert not set(rest.source) & set(held.source)
    assert sorted(rest.target + held.target) == sorted(text.target)
    assert text.split() == (rest, held)
    with pytest.raises(InputError, match="too few"):
        ParallelText.of([("a", "x"), ("a", "y")]).split()

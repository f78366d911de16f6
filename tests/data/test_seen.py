"""The texts that a model was fitted to, as hashes."""

import pytest

from memfold.data.seen import Seen, same_text
from memfold.errors import InputError


def test_texts_are_found_again_whatever_their_case_and_white_space() -> None:
    seen = Seen.parse(str(Seen.of(["Good day.", "bad  DAY", ""])))
    assert seen.among([" good\tday.", "Bad day", "good day", ""]) == (2, 3)
    assert same_text("ﬁne\n") == same_text("FINE")


def test_of_many_the_share_is_that_of_those_kept() -> None:
    seen = Seen.parse(str(Seen.of([f"text {k}" for k in range(20_000)], most=4_000)))
    assert len(seen.hashes) == 4_000
    known, looked_up = seen.among([f"text {k}" for k in range(10_000, 30_000)])
    assert looked_up == pytest.approx(4_000, rel=0.1)
    assert known / looked_up == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("text", ["x", "AAAA", "AAAAAAAAAAA= x", "Ä"])
def test_damaged_hashes_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="the hashes of the training texts are damaged"):
        Seen.parse(text)

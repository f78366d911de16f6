"""Recordings of commands: where they are found, who speaks, and what is held out."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memfold.data.command_lists import parts_by_lists
from memfold.data.commands import (
    Excerpt,
    Recordings,
    joined,
    load_fsdd,
    parts_with_background,
    read_commands,
    split_at,
    split_background,
)
from memfold.errors import InputError


def made(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def recordings(labels: list[str], speakers: list[str]) -> Recordings:
    return Recordings("made", [Path(f"{k}.wav") for k in range(len(labels))], labels, speakers)


def test_a_folder_is_a_command_and_speech_commands_names_tell_the_speaker(tmp_path):
    names = ("no/a_nohash_1.wav", "no/other name.flac", "yes/a_nohash_0.wav", "yes/.hidden.wav", "yes/notes.txt")
    found = read_commands(made(tmp_path, *names, "_background_noise_/tap.wav"))
    assert found.labels == ["no", "no", "yes"]
    assert found.speakers == ["a", "", "a"]
    assert found.background == (Excerpt(tmp_path / "_background_noise_" / "tap.wav"),)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("{label}_{speaker}_{index}", "7_theo_31.wav", ("7", "theo")),
        ("{speaker}-{label}", "ann-turn_left.WAV", ("turn_left", "ann")),
        ("{speaker}/{label}.{index}", "bob/go.3.ogg", ("go", "bob")),
        ("{label}", "sub/stop.wav", ("stop", "")),
    ],
)
def test_a_pattern_tells_command_and_speaker(tmp_path, pattern, name, expected):
    found = read_commands(made(tmp_path, name), pattern)
    assert (found.labels[0], found.speakers[0]) == expected


@pytest.mark.parametrize("given_as", ["folder", "file", "inside"])
def test_background_is_no_command(tmp_path, given_as):
    where = {"folder": tmp_path / "noise", "file": tmp_path / "noise" / "n.wav", "inside": tmp_path / "data" / "n"}
    made(tmp_path, "noise/n.wav", "data/yes/1.wav", "data/n/1.wav")
    found = read_commands(tmp_path / "data", None, where[given_as])
    assert found.labels == (["yes"] if given_as == "inside" else ["n", "yes"])
    assert len(found.background) == 1


@pytest.mark.parametrize(
    ("names", "pattern", "message"),
    [
        ([], None, "no such folder"),
        (["data/notes.txt"], None, "holds no audio files"),
        (["data/yes_1.wav"], None, "expected a folder for each command; .* pattern="),
        (["data/yes.wav"], "{label}_{index}", "no file's name has the form .*, such as yes.wav"),
        (["data/yes_1.wav", "data/no.wav"], "{label}_{index}", "1 of 2 names do not have the form .*, such as no.wav"),
        (["data/yes_1.wav"], "{speaker}_{index}", "expected {label}"),
        (["data/yes_1.wav"], "{label}_{person}", "expected {label}"),
        (["data/other/1.wav"], None, "'other' is what a model calls background"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, names, pattern, message):
    made(tmp_path, *names)
    with pytest.raises(InputError, match=f"data: .*{message}|pattern .*{message}"):
        read_commands(tmp_path / "data", pattern)


def test_a_file_or_a_background_that_is_not_there_is_named(tmp_path):
    made(tmp_path, "data/yes/1.wav", "empty/notes.txt")
    with pytest.raises(InputError, match=r"1\.wav: is a file"):
        read_commands(tmp_path / "data" / "yes" / "1.wav")
    with pytest.raises(InputError, match=r"no such file or folder .File name too long"):
        read_commands("n" * 5000)
    with pytest.raises(InputError, match="none: no such file or folder"):
        read_commands(tmp_path / "data", background=tmp_path / "none")
    with pytest.raises(InputError, match="empty: holds no audio files"):
        read_commands(tmp_path / "data", background=tmp_path / "empty")


def test_one_command_alone_and_a_single_recording_are_refused():
    with pytest.raises(InputError, match="'yes' is the only command"):
        recordings(["yes", "yes"], ["", ""]).require()
    with pytest.raises(InputError, match="the command 'no' has 1 recording"):
        recordings(["yes", "yes", "no"], [""] * 3).split()


commands = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 8)), min_size=4, max_size=60)


@given(commands, st.integers(0, 9), st.booleans())
def test_every_command_is_learnt_and_nothing_is_in_both_parts(rows, fold, by_speaker):
    doubled = [row for row in rows for _ in range(2)] + [(label, 0) for label in (0, 0, 1, 1)]
    whole = recordings([f"c{label}" for label, _ in doubled], [f"s{speaker}" for _, speaker in doubled])
    train, test = whole.split_by_speaker(fold) if by_speaker else whole.split(fold)
    assert sorted(train.paths + test.paths) == sorted(whole.paths)
    assert set(train.labels) == set(whole.labels)
    assert test.paths
    if not by_speaker:
        assert set(test.labels) == set(whole.labels)
        assert all(
            count <= max(1, -(-Counter(whole.labels)[label] // 10)) for label, count in Counter(test.labels).items()
        )


def test_speakers_are_held_out_whole_where_five_are_known():
    rows = [(label, f"s{speaker}") for label in "ab" for speaker in range(5) for _ in range(4)]
    train, test = recordings([label for label, _ in rows], [speaker for _, speaker in rows]).split_by_speaker()
    assert len(set(test.speakers)) == 1
    assert not set(test.speakers) & set(train.speakers)


def test_a_named_speaker_is_held_out():
    whole = recordings(["a", "b"] * 4, ["ann"] * 4 + ["bob"] * 4)
    train, test = whole.hold_out("bob")
    assert (set(train.speakers), set(test.speakers)) == ({"ann"}, {"bob"})
    with pytest.raises(InputError, match="no recording of the speaker 'carl'; known: ann, bob"):
        whole.hold_out("carl")
    with pytest.raises(InputError, match="'ann' is the only speaker"):
        train.hold_out("ann")
    with pytest.raises(InputError, match="no speaker is known"):
        recordings(["a", "b"], ["", ""]).hold_out("ann")


def test_background_is_parted_by_time_where_files_are_few_and_by_file_where_they_are_many():
    few = [Excerpt(Path("a"), 0, 0.5), Excerpt(Path("b"))]
    learnt, kept = split_background(few)
    assert [(own.begin, own.end) for own in learnt] == [(0, pytest.approx(0.4)), (0, pytest.approx(0.8))]
    assert [(own.begin, own.end) for own in kept] == [(pytest.approx(0.4), 0.5), (pytest.approx(0.8), 1)]
    many = [Excerpt(Path(str(k))) for k in range(20)]
    assert split_background(many) == (tuple(many[:16]), tuple(many[16:]))


def test_several_folders_are_joined(tmp_path):
    made(tmp_path, "one/yes/1.wav", "two/no/1.wav", "two/_background_noise_/x.wav")
    whole = joined([read_commands(tmp_path / name) for name in ("one", "two")])
    assert whole.labels == ["yes", "no"]
    assert len(whole.background) == 1


def test_folders_of_a_split_are_no_commands(tmp_path):
    names = [f"{part}/{label}/1.wav" for part in ("train", "Val", "test") for label in ("no", "yes")]
    made(tmp_path / "set", *names, "_background_noise_/hum.wav")
    parts = split_at(tmp_path / "set")
    assert {part: folder.name for part, folder in parts.items()} == {"train": "train", "valid": "Val", "test": "test"}
    assert split_at(tmp_path / "set" / "train") == {}
    assert split_at(tmp_path / "none") == {}
    with pytest.raises(InputError, match=r"in two ways: as parts of a split.*or as commands of these names"):
        split_at(made(tmp_path / "words", "train/1.wav", "test/1.wav"))
    assert split_at(made(tmp_path / "more", "train/1.wav", "stop/1.wav")) == {}
    flat = split_at(made(tmp_path / "flat", "train/a_1.wav", "test/a_2.wav"), "{label}_{index}")
    assert list(flat) == ["train", "test"]
    assert split_at(tmp_path / "flat", "{speaker}/{label}_{index}") == {}


def test_speech_commands_lists_are_followed(tmp_path, capsys):
    names = [f"{label}/{speaker}_nohash_0.wav" for label in ("no", "yes") for speaker in ("ann", "bob", "cat")]
    made(tmp_path, *names, "_background_noise_/hum.wav")
    whole = read_commands(tmp_path)
    assert parts_by_lists(whole, tmp_path) == {}
    (tmp_path / "validation_list.txt").write_text("no/ann_nohash_0.wav\r\nyes/ann_nohash_0.wav\r\n")
    (tmp_path / "testing_list.txt").write_text("no/bob_nohash_0.wav\nyes/bob_nohash_0.wav\nyes/eve_nohash_0.wav\n")
    parts = parts_by_lists(whole, tmp_path)
    assert {part: its.speakers for part, its in parts.items()} == {
        "train": ["cat"] * 2,
        "valid": ["ann"] * 2,
        "test": ["bob"] * 2,
    }
    assert [len(its.background) for its in parts.values()] == [1, 0, 0]
    assert "1 of 3 recordings are not there: yes/eve_nohash_0.wav" in capsys.readouterr().err
    (tmp_path / "testing_list.txt").write_text("no/ann_nohash_0.wav\n")
    with pytest.raises(InputError, match=r"both lists name .*no/ann_nohash_0\.wav; a recording is in one part"):
        parts_by_lists(whole, tmp_path)
    (tmp_path / "testing_list.txt").write_text("\n".join(names[1:3] + names[4:]))
    with pytest.raises(InputError, match="name every recording, and none is left to train on"):
        parts_by_lists(whole, tmp_path)


def test_parts_without_background_have_a_share_of_that_to_train_on():
    parts = {
        "train": Recordings("a", [], [], [], (Excerpt(Path("n.wav")),)),
        "valid": Recordings("b", [], [], []),
        "test": Recordings("c", [], [], [], (Excerpt(Path("m.wav")),)),
    }
    shared = parts_with_background(parts)
    (training,), (kept,), (own,) = (shared[part].background for part in ("train", "valid", "test"))
    assert (training.begin, training.end, kept.begin, kept.end) == (0, pytest.approx(0.8), pytest.approx(0.8), 1)
    assert own == Excerpt(Path("m.wav"))


def test_what_a_split_names_to_validate_on_is_held_out():
    whole = replace(recordings(["a", "b"] * 5, [""] * 10), held=frozenset({Path("2.wav"), Path("3.wav")}))
    rest, held = whole.split_as_named()
    assert [path.name for path in held.paths] == ["2.wav", "3.wav"]
    assert len(rest.paths) == 8
    assert [len(part.paths) for part in replace(whole, held=frozenset()).split_as_named()] == [8, 2]


def test_the_first_five_of_every_digit_and_speaker_are_the_official_test_part(tmp_path, monkeypatch):
    names = [f"fsdd/recordings/{digit}_{who}_{k}.wav" for digit in (0, 1) for who in ("ann", "bob") for k in range(7)]
    made(tmp_path, *names)
    monkeypatch.setenv("MEMFOLD_DATA", str(tmp_path))
    train, test = load_fsdd()
    assert (len(train.paths), len(test.paths)) == (8, 20)
    assert {int(path.stem[-1]) for path in test.paths} == set(range(5))
    train, test = load_fsdd("ann")
    assert (set(train.speakers), set(test.speakers), len(test.paths)) == ({"bob"}, {"ann"}, 14)


def test_copies_stay_on_one_side_and_every_command_is_trained_on():
    rows = [label for label in "ab" for _ in range(40)]
    keys = [f"{label}{k % 20}" for label in "ab" for k in range(40)]  # each recording is there twice
    whole = recordings(rows, [""] * 80)
    train, test = whole.split(keys=keys)
    sides = [{keys[int(path.stem)] for path in part.paths} for part in (train, test)]
    assert sides[1]
    assert not sides[0] & sides[1]
    assert set(train.labels) == {"a", "b"}
    train, _ = recordings(list("aabb"), [""] * 4).split(keys=list("xxyy"))
    assert set(train.labels) == {"a", "b"}


def test_all_commands_with_a_single_recording_are_named_at_once():
    with pytest.raises(InputError, match="the commands 'maybe', 'no' have 1 recording"):
        recordings(["yes", "yes", "no", "maybe"], [""] * 4).require()

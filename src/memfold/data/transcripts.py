"""Recordings and what is said in them as corpora are laid out: folders, lists, and the parts of a split."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import polars as pl

from memfold.data.audio import SUFFIXES
from memfold.data.folders import PARTS, files_below, is_file, is_folder, part_named, visible_folders
from memfold.data.labels import listed
from memfold.data.speech import Utterances, files_of_corpus, is_manifest, joined, read_manifest
from memfold.data.texts import read_lines, read_text
from memfold.display import say
from memfold.errors import InputError

__all__ = ["parts_at", "read_utterances"]

Reader = Callable[[], Utterances]
MANIFESTS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet")
OF_COMMON_VOICE = {"validated", "invalidated", "other", "reported", "clip_durations", "validated_sentences",
                   "unvalidated_sentences", "times"}  # fmt: skip
TEXT_SUFFIXES = (".normalized.txt", ".txt", ".lab", ".trn")  # of a text beside its recording
BESIDE = ("clips", "wavs", "wav", "audio", "waves", "recordings")  # folders of recordings beside a list of texts
NAMED = 3  # the first ones
EXPECTED = (
    "expected a manifest (a table of audio and text), Common Voice's clips and train.tsv, LibriSpeech's *.trans.txt, "
    "LJSpeech's metadata.csv and wavs, Kaldi's wav.scp and text, or recordings each with a text file of its name"
)


def read_utterances(path: str | Path) -> Utterances:
    """The recordings and texts of a manifest, or of a folder of one of the forms that `parts_at` knows.

    Raises:
        InputError: naming what cannot be read, or what is there instead.
    """
    parts = parts_at(Path(path))
    return joined([read() for read in parts.values()]) if parts else read_manifest(path)


def parts_at(path: Path) -> dict[str, Reader]:
    """How to read the recordings and texts at a path, by the part of a split; all by ``""`` where there are no parts.

    Nothing for a file that is a manifest.

    Raises:
        InputError: a folder that holds none of the known forms, or two files for a part.
    """
    if is_file(path):
        reader = _reader_of_file(path)
        return {} if reader is None else {"": reader}
    if not is_folder(path):
        return {}
    for find in (_tables, _of_each_folder, _whole):
        if parts := find(path):
            return parts
    below = visible_folders(path)
    if len(below) == 1:
        return parts_at(below[0])
    raise InputError(f"{path}: {_what_else(path)}")


def _what_else(path: Path) -> str:
    sounds = files_below(path, SUFFIXES)
    there = (
        f"holds {len(sounds):,} recordings, but no texts that belong to them; " if sounds else "holds no recordings; "
    )
    return there + EXPECTED


def _reader_of_file(path: Path) -> Reader | None:
    """How to read a file that is no manifest; None for any other."""
    if path.name.lower().endswith(".trans.txt"):
        return partial(_read_trans, path.parent, [path])
    if path.name in ("wav.scp", "text") and is_file(path.with_name("wav.scp")) and is_file(path.with_name("text")):
        return partial(_read_kaldi, path.parent)
    return partial(_read_lj, path) if _is_lj(path) else None


# -- tables for each part ----------------------------------------------------------------------------------------


def _tables(root: Path) -> dict[str, Reader]:
    """The manifests of a folder, such as Common Voice's."""
    files = [path for path in sorted(root.iterdir()) if path.suffix.lower() in MANIFESTS and path.name[0] != "."]
    files = [path for path in files if is_file(path) and not _is_lj(path)]
    named: dict[str, list[Path]] = {}
    for path in files:
        words = path.name.split(".")[0].replace("-", "_").split("_")
        part = next((part for word in (path.name.split(".")[0], *words) if (part := part_named(word))), "")
        named.setdefault(part, []).append(path)
    others = named.pop("", [])
    for part, paths in named.items():
        if len(paths) > 1:
            raise InputError(
                f"{root}: {listed(path.name for path in paths)} all name the part {part}; give one of them"
            )
    if named:
        chosen = {part: named[part][0] for part in PARTS if part in named}
        if aside := [path.name for path in others if path.stem not in OF_COMMON_VOICE]:
            say(f"{root}: beside its parts, {listed(aside)} {'is' if len(aside) == 1 else 'are'} left out")
        if list(chosen) == ["train"]:
            return {"": partial(read_manifest, chosen["train"])}
        return {part: partial(read_manifest, path) for part, path in chosen.items()}
    validated = [path for path in others if path.stem == "validated"]
    others = validated or [path for path in others if path.stem not in OF_COMMON_VOICE and _is_of_recordings(path)]
    if len(others) > 1:
        raise InputError(f"{root}: holds several manifests; name one of them: {listed(path.name for path in others)}")
    return {"": partial(read_manifest, others[0])} if others else {}


def _is_of_recordings(path: Path) -> bool:
    """Whether a table can be read as a manifest; errors of one that is named itself are its own."""
    try:
        read_manifest(path, quiet=True)
    except InputError:
        return False
    return True


# -- folders -----------------------------------------------------------------------------------------------------


def _of_each_folder(root: Path) -> dict[str, Reader]:
    """The folders of a folder that are parts, such as ``train-clean-100`` and ``dev-clean``, or Kaldi's ``train``."""
    below = visible_folders(root)
    for place in (root, root / "data", *(below if len(below) == 1 else ())):
        named: dict[str, list[Path]] = {}
        for folder in visible_folders(place) if is_folder(place) else []:
            words = [folder.name, *folder.name.replace("_", "-").split("-")]
            part = next((part for word in words if (part := part_named(word))), "")
            if part and _whole(folder):
                named.setdefault(part, []).append(folder)
        if len(named) > 1:
            return {part: partial(_read_folders, named[part]) for part in PARTS if part in named}
    return {}


def _read_folders(folders: Sequence[Path]) -> Utterances:
    return joined([_whole(folder)[""]() for folder in folders])


def _whole(root: Path) -> dict[str, Reader]:
    """A folder in one of the forms that name no parts."""
    if is_file(root / "wav.scp") and is_file(root / "text"):
        return {"": partial(_read_kaldi, root)}
    lists = [path for path in files_below(root, {".csv"}) if path.parent == root and _is_lj(path)]
    if len(lists) == 1:
        return {"": partial(_read_lj, lists[0])}
    if trans := [path for path in files_below(root, {".txt"}) if path.name.lower().endswith(".trans.txt")]:
        return {"": partial(_read_trans, root, trans)}
    pairs = _pairs(root)
    return {"": partial(_read_pairs, root, pairs)} if pairs else {}


# -- LibriSpeech ---------------------------------------------------------------------------------------------------


def _read_trans(root: Path, lists: Sequence[Path]) -> Utterances:
    """LibriSpeech's lists, lines of an identity and its text, with the recordings beside each."""
    audio: list[Path] = []
    texts: list[str] = []
    missing: list[str] = []
    for path in lists:
        there = {file.stem: file for file in path.parent.iterdir() if file.suffix.lower() in SUFFIXES}
        for line in read_lines(path):
            name, _, text = line.strip().partition(" ")
            if name and name in there and text.strip():
                audio.append(there[name])
                texts.append(" ".join(text.split()))
            elif name:
                missing.append(name)
    speakers = [path.stem.split("-")[0] for path in audio]
    return _gathered(root, audio, texts, speakers, missing)


def _gathered(
    root: Path, audio: Sequence[Path], texts: list[str], speakers: list[str], missing: Sequence[str], what: str = ""
) -> Utterances:
    """Utterances; lines without a recording or a text are counted.

    Raises:
        InputError: there is none.
    """
    if missing:
        named = ", ".join(missing[:NAMED]) + (", ..." if len(missing) > NAMED else "")
        total = len(missing) + len(audio)
        reason = what or "without a recording or a text"
        say(f"{root}: {len(missing):,} of {total:,} lines {reason} are left out: {named}")
    if not audio:
        raise InputError(f"{root}: none of its {len(missing):,} lines has a recording; {EXPECTED}")
    known = speakers if any(speakers) else []
    return Utterances(str(root), list(audio), texts, known, pl.DataFrame({"": [None] * len(audio)}).drop(""))


# -- LJSpeech ------------------------------------------------------------------------------------------------------


def _is_lj(path: Path) -> bool:
    """Whether a file is LJSpeech's list: lines of an identity, its text and perhaps that in words, with | between."""
    if path.suffix.lower() not in (".csv", ".txt") or not is_manifest(path):
        return False
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            fields = file.readline(1 << 16).rstrip("\r\n").split("|")
    except OSError:
        return False
    return len(fields) in (2, 3, 4) and _lj_file(path, fields[0]) is not None


def _lj_file(path: Path, name: str) -> Path | None:
    return files_of_corpus(path.parent, name.strip(), BESIDE)


def _read_lj(path: Path) -> Utterances:
    audio: list[Path] = []
    texts: list[str] = []
    missing: list[str] = []
    in_words = 0
    for line in read_lines(path):
        name, *fields = line.split("|")
        said = [text for field in fields if (text := " ".join(field.split()))]
        file = _lj_file(path, name) if name.strip() else None
        if file is None or not said:
            missing += [name[:40]] if line.strip() else []
            continue
        audio.append(file)
        texts.append(said[1] if len(said) > 1 else said[0])
        in_words += len(said) > 1
    if in_words:
        say(f"{path}: of {in_words:,} texts the second form is taken, in which numbers are written in words")
    return _gathered(path, audio, texts, [""] * len(audio), missing)


# -- Kaldi ---------------------------------------------------------------------------------------------------------


def _read_kaldi(root: Path) -> Utterances:
    """Kaldi's wav.scp, text and utt2spk.

    Raises:
        InputError: the utterances are stretches of longer recordings.
    """
    if is_file(root / "segments"):
        raise InputError(
            f"{root}: its segments are stretches of longer recordings, which are not cut here; cut them to a file each "
            "(extract-segments) and give a manifest of audio and text"
        )
    texts, speakers = _by_key(root / "text"), _by_key(root / "utt2spk") if is_file(root / "utt2spk") else {}
    audio: list[Path] = []
    names: list[str] = []
    missing: list[str] = []
    commands: list[str] = []
    for name, place in _by_key(root / "wav.scp").items():
        if place.endswith("|"):
            commands.append(name)
            continue
        file = files_of_corpus(root, place, BESIDE)
        if file is None or not texts.get(name):
            missing.append(name)
            continue
        audio.append(file)
        names.append(name)
    if commands:
        named = ", ".join(commands[:NAMED]) + (", ..." if len(commands) > NAMED else "")
        say(f"{root}: {len(commands):,} entries of wav.scp are commands, which are not run; write files: {named}")
    missing += [name for name in texts if name not in set(names) | set(missing) | set(commands)]
    return _gathered(root, audio, [texts[name] for name in names], [speakers.get(n, "") for n in names], missing)


def _by_key(path: Path) -> dict[str, str]:
    """The rest of each line by its first word."""
    pairs = (line.strip().split(maxsplit=1) for line in read_lines(path) if line.strip())
    return {pair[0]: " ".join(pair[1].split()) if len(pair) > 1 else "" for pair in pairs}


# -- recordings each with a text of its name -------------------------------------------------------------------------


def _pairs(root: Path) -> dict[Path, Path]:
    """Recordings by the text file of their name, beside them or elsewhere below, where one alone has it."""
    sounds = files_below(root, SUFFIXES)
    texts: dict[str, list[Path]] = {}
    for path in files_below(root, {".txt", ".lab", ".trn"}):
        suffix = next((suffix for suffix in TEXT_SUFFIXES if path.name.lower().endswith(suffix)), "")
        texts.setdefault(path.name[: len(path.name) - len(suffix)], []).append(path)
    pairs: dict[Path, Path] = {}
    for sound in sounds:
        named = texts.get(sound.stem, [])
        beside = [path for path in named if path.parent == sound.parent]
        chosen = beside or (named if len(named) == 1 else [])
        if chosen:
            pairs[sound] = chosen[0]
    return pairs


def _read_pairs(root: Path, pairs: Mapping[Path, Path]) -> Utterances:
    audio: list[Path] = []
    texts: list[str] = []
    missing = [str(path.relative_to(root)) for path in files_below(root, SUFFIXES) if path not in pairs]
    for sound, path in pairs.items():
        try:
            text = " ".join(read_text(path).split())
        except InputError:
            missing.append(str(path.relative_to(root)))
            continue
        audio.append(sound)
        texts.append(text)
    speakers = [sound.parent.name if sound.parent != root else "" for sound in audio]
    if len(set(speakers)) < 2:
        speakers = [""] * len(audio)
    return _gathered(root, audio, texts, speakers, missing, "without a text or with an empty one")

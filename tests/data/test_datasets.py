import os
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from memfold.data.datasets import DATASETS, REGISTRY, DataSet, find, load_split
from memfold.errors import InputError


def test_the_taxi_series_is_shipped_whole() -> None:
    split = load_split("nyc-taxi")
    assert split.whole.lengths.tolist() == [10320]
    assert split.train.lengths.tolist() == [10320 - 14 * 48]
    assert split.whole.step == "30m"


def test_an_unknown_set_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="@nothing: no such data set; known are @nyc-taxi, @us-births, @etth1"):
        find("nothing")


def test_wide_files_become_a_long_table_and_the_test_part_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "m4-hourly"
    folder.mkdir()
    (folder / "Hourly-train.csv").write_text('"V1","V2","V3","V4"\n"H1",1,2,3\n"H2",4.5,5,\n')
    (folder / "Hourly-test.csv").write_text('"V1","V2"\n"H1",9\n"H2",8\n')
    monkeypatch.setenv("MEMFOLD_DATA", str(tmp_path))
    split = load_split("m4-hourly")
    assert split.train.lengths.tolist() == [3, 2]
    assert split.whole.frame["ds"].to_list() == [1, 2, 3, 4, 1, 2, 3]
    assert split.whole.frame["y"].to_list() == [1, 2, 3, 9, 4.5, 5, 8]


def test_sets_are_read_from_a_folder_whatever_characters_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = tmp_path / "sets [2]"
    for name in ("m4-hourly", "etth1"):
        (sets / name).mkdir(parents=True)
    for part in ("train", "test"):
        (sets / "m4-hourly" / f"Hourly-{part}.csv").write_text('"V1","V2","V3"\n"H1",1,2\n')
    hours = "".join(f"2016-07-01 {hour:02d}:00:00,{hour},5.5\n" for hour in range(24))
    (sets / "etth1" / "ETTh1.csv").write_text(f"date,HUFL,OT\n{hours}")
    monkeypatch.setenv("MEMFOLD_DATA", str(sets))
    assert load_split("m4-hourly").whole.frame["y"].to_list() == [1, 2, 1, 2]
    assert load_split("etth1").whole.frame["y"].to_list() == [*map(float, range(24)), *[5.5] * 24]


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A set on a server of our own, and an empty cache."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "a.txt").write_text("abc")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "www"))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *args: None)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("pooch.os_cache", lambda name: str(tmp_path / "cache"))
    monkeypatch.delenv("MEMFOLD_DATA", raising=False)
    yield f"http://127.0.0.1:{server.server_port}/a.txt"
    server.shutdown()
    server.server_close()


ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_set_is_downloaded_once_and_its_hash_checked(served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATASETS, "small", DataSet("small", "forecast", "", "", ""))
    monkeypatch.setitem(REGISTRY, "small", {"a.txt": (served, ABC)})
    assert (find("small") / "a.txt").read_text() == "abc"
    os.utime(find("small") / "a.txt", (0, 0))
    assert (find("small") / "a.txt").stat().st_mtime == 0
    monkeypatch.setitem(DATASETS, "other", DataSet("other", "forecast", "", "", ""))
    monkeypatch.setitem(REGISTRY, "other", {"a.txt": (served, "0" * 64)})
    with pytest.raises(InputError, match=r"a\.txt cannot be had from .*MEMFOLD_DATA"):
        find("other")


def test_every_set_is_shipped_or_registered_or_had_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEMFOLD_DATA", raising=False)
    assert set(REGISTRY) <= set(DATASETS)
    with pytest.raises(InputError, match=r"manythings\.org/anki; put its files into a folder tatoeba-cmn-eng"):
        find("tatoeba-cmn-eng")

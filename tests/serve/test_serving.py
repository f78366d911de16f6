"""The server's answers: those of ``memfold predict`` and ``memfold stream``, whoever else is there."""

import json
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from formats.kept import FOLDER
from memfold.runtime import load
from memfold.tasks import load as load_task
from serve.server import Running, answers, lines, model, pcm

TASKS = sorted(folder.name for folder in FOLDER.iterdir() if (folder / "model").is_dir())
TYPES = {".csv": "text/csv", ".txt": "text/plain", ".wav": "audio/wav", ".png": "image/png"}
ACKNOWLEDGED = "?acknowledge=true"


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running([f"{name}={model(name)}" for name in TASKS]) as server:
        yield server


def input_of(name: str) -> Path:
    return next((FOLDER / name).glob("input.*"))


@pytest.mark.parametrize("name", TASKS)
def test_a_request_is_answered_as_by_predict(running: Running, name: str) -> None:
    file = input_of(name)
    expected = load_task(model(name)).answers([str(file)])
    status, _, answer = running.ask(
        f"/v1/models/{name}/predict", file.read_bytes(), {"Content-Type": TYPES[file.suffix]}
    )
    assert status == 200, answer
    if isinstance(expected, Iterator):
        assert answer["text"] == "".join(expected)
        return
    rows = json.loads(json.dumps(expected.to_dicts(), default=str).replace(str(file), "input"))
    for found, row in zip(answer["rows"], rows, strict=True):
        assert found.keys() == row.keys()
        for column, value in row.items():
            exact = not isinstance(value, float)
            assert found[column] == (value if exact else pytest.approx(value, rel=1e-6, abs=1e-9))


def test_rows_and_texts_are_taken_as_json(running: Running) -> None:
    rows = [{"ds": k, "y": k % 4 / 4} for k in range(60)]
    as_csv = "ds,y\n" + "".join(f"{row['ds']},{row['y']}\n" for row in rows)
    found = [
        running.ask("/v1/models/anomaly/predict", body, {"Content-Type": kind})[2]["rows"]
        for body, kind in ((json.dumps({"rows": rows}).encode(), "application/json"), (as_csv.encode(), "text/csv"))
    ]
    assert found[0] == found[1]
    texts = {"texts": ["a good film", "a dull one"]}
    _, _, answer = running.ask(
        "/v1/models/sentiment/predict", json.dumps(texts).encode(), {"Content-Type": "application/json"}
    )
    assert [row["text"] for row in answer["rows"]] == texts["texts"]


def test_numbers_of_the_address_are_the_tasks_options(running: Running) -> None:
    picture = input_of("detect").read_bytes()
    few, many = (
        len(running.ask(f"/v1/models/detect/predict?threshold={least}", picture)[2]["rows"]) for least in (0.4, 0.01)
    )
    assert 0 < few < many
    status, _, answer = running.ask(
        "/v1/models/generate/predict?length=3&seed=1", b"He", {"Content-Type": "text/plain"}
    )
    assert (status, answer["text"][:2]) == (200, "He")
    for wrong in ("threshold=high", "gallery=/etc", "nothing=1"):
        assert running.ask(f"/v1/models/detect/predict?{wrong}", picture)[0] == 400


def recording(k: int) -> np.ndarray:
    """Sound of its own for every client, at 8 kHz."""
    return np.random.default_rng(k).normal(0, 0.1, 9000 + 500 * k).astype(np.float32)


def blocks_of(sound: np.ndarray, size: int = 800) -> list[bytes]:
    whole = pcm(sound)
    return [whole[at : at + 2 * size] for at in range(0, len(whole), 2 * size)]


def heard(sound: np.ndarray) -> list[dict[str, Any]]:
    """What ``memfold stream`` hears in a file of the sound."""
    session = load(model("command")).open()
    said = [
        answer
        for block in blocks_of(sound, 777)
        for answer in session.push(np.frombuffer(block, "<i2").astype(np.float32) / 32768)
    ]
    return [*said, *session.finish()]


def test_streams_of_many_clients_are_those_of_each_alone(running: Running) -> None:
    found: dict[str, list[Any]] = {}
    readings = {k: [f"{300 + i},{np.sin(i * k):.4f}" for i in range(40)] for k in range(6)}

    def hear(k: int) -> None:
        with running.stream("command", ACKNOWLEDGED) as socket:
            said = answers(socket, blocks_of(recording(k)))
            socket.send('{"finish": true}')
            said += [line for message in socket for line in lines(message)]
        found[f"sound {k}"] = said

    def watch(k: int) -> None:
        with running.stream("anomaly") as socket:
            found[f"readings {k}"] = answers(socket, readings[k])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6) for work in (hear, watch)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(6):
        assert found[f"sound {k}"] == heard(recording(k))
        session = load(model("anomaly")).open()
        expected = [answer for line in readings[k] for answer in session.push(line)]
        assert found[f"readings {k}"] == json.loads(json.dumps(expected))


def test_several_lines_in_a_message_are_answered_in_their_order(running: Running) -> None:
    with running.stream("anomaly") as socket:
        found = answers(socket, ["ds,y\n300,0.5\n301,high\n302,0.25"])
    assert [line.get("y", line.get("error")) for line in found] == [0.5, "line 3: no number for 'y' in it", 0.25]


@pytest.mark.parametrize("name", ["generate", "sentiment", "translate"])
def test_a_line_is_answered_as_by_stream(running: Running, name: str) -> None:
    line = "a good film"
    expected = "".join(load_task(model(name)).respond(line))
    with running.stream(name) as socket:
        socket.send(line)
        assert str(socket.recv(timeout=20)).rstrip("\n") == expected.rstrip("\n")


def test_a_model_without_streams_says_so(running: Running) -> None:
    status, _, answer = running.ask("/v1/models/classify")
    assert (status, answer["stream"]) == (200, None)
    for name in ("classify", "forecast", "nothing"):
        with pytest.raises(InvalidStatus, match="404"), running.stream(name):
            pass


def test_the_server_describes_itself(running: Running) -> None:
    assert running.ask("/healthz")[2] == "ok"
    assert running.ask("/readyz")[2] == "ready"
    names = [entry["name"] for entry in running.ask("/v1/models")[2]["models"]]
    assert names == TASKS
    assert "# A memfold" in running.ask("/v1/models/command")[2]["card"]
    document = running.ask("/openapi.json")[2]
    assert document["openapi"] == "3.1.0"
    status, headers, page = running.ask("/")
    assert status == 200
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "<script src" in page
    with running.stream("anomaly") as socket:
        answers(socket, ["300,0.5"])
    metrics = running.ask("/metrics")[2]
    for name in ("open_streams", "ticks_total", "tick_rows_bucket", "message_seconds_bucket", "engine_seconds_total"):
        assert f"memfold_{name}" in metrics


@pytest.mark.parametrize("page", ["serve.md", "serve.zh-CN.md"])
def test_the_client_in_the_guide_runs(page: str, running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parents[2] / "docs" / "guide" / page).read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    values: dict[str, Any] = {}
    changed = code.replace("127.0.0.1:8000/v1/models/taxi", f"127.0.0.1:{running.port}/v1/models/anomaly")
    exec(changed.replace("2014-07-01 00:00:00", "300").replace("2014-07-01 00:30:00", "301"), values)
    assert len(values["state"]) > 1000
    assert len(capsys.readouterr().out.split()) == 2


# -- states ---------------------------------------------------------------------------------------------------


def test_a_stream_goes_on_after_the_server_was_killed(tmp_path: Path) -> None:
    sound, name = recording(3), f"command={model('command')}"
    blocks, key = blocks_of(sound), ["--key", str(tmp_path / "key")]
    half = len(blocks) // 2
    with Running([name], *key) as first, first.stream("command", ACKNOWLEDGED) as socket:
        assert (tmp_path / "key").stat().st_mode & 0o077 == 0
        said = answers(socket, blocks[:half])
        socket.send('{"state": true}')
        (state,) = lines(socket.recv(timeout=20))
        first.process.send_signal(signal.SIGKILL)
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=20)
    with Running([name], *key) as second:
        with second.stream("command", ACKNOWLEDGED) as socket:
            assert answers(socket, [json.dumps({"resume": state["state"]})]) == [{"resumed": True}]
            said += answers(socket, blocks[half:])
            socket.send('{"finish": true}')
            said += [line for message in socket for line in lines(message)]
        assert said == heard(sound)
        flipped = state["state"][:-3] + ("A" if state["state"][-3] != "A" else "B") + state["state"][-2:]
        for wrong in (flipped, "", "e30=", "ü", state["state"][:40]):
            with second.stream("command") as socket:
                socket.send(json.dumps({"resume": wrong}))
                (answer,) = lines(socket.recv(timeout=20))
                assert "was not given by this server" in answer["error"]
                with pytest.raises(ConnectionClosed, match="1008"):
                    socket.recv(timeout=20)
    with Running([name]) as stranger, stranger.stream("command") as socket:  # by another key
        socket.send(json.dumps({"resume": state["state"]}))
        assert "was not given by this server" in str(socket.recv(timeout=20))


@pytest.mark.release
def test_a_server_that_stops_hands_the_states_back(tmp_path: Path) -> None:
    key = ["--key", str(tmp_path / "key"), "--set", "grace_seconds=1"]
    readings = [f"{300 + i},{np.sin(i):.4f}" for i in range(30)]
    with Running([f"anomaly={model('anomaly')}"], *key) as server, server.stream("anomaly") as socket:
        found = answers(socket, readings[:20])
        server.stop()
        assert lines(socket.recv(timeout=20)) == [{"closing": 1.0}]
        with pytest.raises(InvalidStatus, match="503"), server.stream("anomaly"):
            pass
        assert server.ask("/readyz")[0] == 503
        found += answers(socket, readings[20:25])
        (last,) = lines(socket.recv(timeout=20))
        with pytest.raises(ConnectionClosed, match="1001"):
            socket.recv(timeout=20)
        assert server.process.wait(timeout=20) == 0
    with Running([f"anomaly={model('anomaly')}"], *key) as server, server.stream("anomaly") as socket:
        assert answers(socket, [json.dumps({"resume": last["state"]})]) == [{"resumed": True}]
        found += answers(socket, readings[25:])
    session = load(model("anomaly")).open()
    assert found == json.loads(json.dumps([answer for line in readings for answer in session.push(line)]))

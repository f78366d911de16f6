"""What a server refuses, and what it does when a model changes under it."""

import asyncio
import base64
import hashlib
import json
import secrets
import shutil
import signal
import socket as sockets
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidStatus

from memfold.errors import InputError
from memfold.serve.access import Access, RefusedError, Signer, read_tokens
from memfold.serve.batching import Batcher
from memfold.serve.hosting import named
from memfold.serve.limits import Limits
from memfold.serve.metrics import Metrics
from serve.server import Running, answers, lines, model, pcm

ANOMALY, COMMAND = f"anomaly={model('anomaly')}", f"command={model('command')}"
TOKEN, OTHER, ADMIN = (secrets.token_urlsafe(24) for _ in range(3))


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@pytest.fixture(scope="module")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("tokens") / "tokens"
    file.write_text(f"# name sha256\nann {digest(TOKEN)} 2\nbob {digest(OTHER)} 5 3\nroot {digest(ADMIN)} admin\n")
    return file


@pytest.fixture(scope="module")
def guarded(token_file: Path) -> Iterator[Running]:
    with Running([ANOMALY, COMMAND], "--tokens", str(token_file)) as server:
        yield server


@pytest.fixture(scope="module")
def small() -> Iterator[Running]:
    """A server with bounds that are soon reached."""
    bounds = ["streams=3", "body_bytes=2000", "message_bytes=20000", "message_seconds=1", "idle_seconds=1.5"]
    with Running([ANOMALY, COMMAND], "--set", *bounds, "unsent_seconds=1") as server:
        yield server


def refused(server: Running, name: str, **options: Any) -> int:
    with pytest.raises(InvalidStatus) as error, server.stream(name, **options):
        pass
    return error.value.response.status_code


def closed(socket: Any) -> tuple[int, str]:
    """How a stream ends."""
    with suppress(ConnectionClosed):
        while True:
            socket.recv(timeout=20)
    return socket.close_code, socket.close_reason


# -- tokens ---------------------------------------------------------------------------------------------------


def attempts() -> list[dict[str, str]]:
    """Headers by which nobody gets in."""
    wrong = [
        "", " ", "x", TOKEN[:-1], TOKEN + "x", TOKEN.swapcase(), TOKEN[::-1], digest(TOKEN), digest(TOKEN).upper(),
        "ann", f"ann:{TOKEN}", f"ann {TOKEN}", f'"{TOKEN}"', f"{TOKEN},{TOKEN}", f"{TOKEN};", f"{TOKEN}\t.", "null",
        "undefined", "None", "0", "true", "*", "' OR 1=1 --", "../tokens", "%00", f"{TOKEN}%00", f"%20{TOKEN}", "admin",
        "a" * 4000, base64.b64encode(TOKEN.encode()).decode(), secrets.token_urlsafe(24), "\xfc" * 32,
    ]  # fmt: skip
    found = [{"Authorization": f"Bearer {word}"} for word in wrong]
    found += [{"Authorization": f"{kind} {TOKEN}"} for kind in ("Basic", "Token", "Digest", "bearer:", "Bear", "")]
    found += [{name: TOKEN} for name in ("X-Token", "X-Api-Key", "Token", "Cookie", "Proxy-Authorization", "X-Auth")]
    found += [{"X-Forwarded-For": "127.0.0.1"}, {"X-Real-IP": "127.0.0.1"}, {"Host": "localhost"}, {"Origin": "null"}]
    found += [{"X-Original-URL": "/healthz"}, {"Sec-WebSocket-Protocol": f"memfold, {TOKEN}"}]
    return found


def test_without_its_token_nobody_comes_in(guarded: Running) -> None:
    assert len(attempts()) >= 50
    for headers in attempts():
        for path in ("/v1/models", "/metrics"):
            status, found, answer = guarded.ask(path, None, headers)
            assert (status, found.get("www-authenticate")) == (401, "Bearer"), headers
            assert TOKEN not in json.dumps(answer)
    for path in (f"/v1/models?token={TOKEN}", f"/v1/models?access_token={TOKEN}", f"/v1/models;{TOKEN}", "//v1/models",
                 "/healthz/../v1/models", "/v1/models/anomaly", "/v1/models/anomaly/predict"):  # fmt: skip
        assert guarded.ask(path)[0] == 401, path
    assert refused(guarded, "anomaly") == 401
    assert refused(guarded, "anomaly", additional_headers={"Authorization": "Bearer x"}) == 401


def test_who_has_a_token_comes_in(guarded: Running) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert guarded.ask("/v1/models", None, bearer)[0] == 200
    assert guarded.ask("/healthz")[0] == 200
    assert guarded.ask("/")[0] == 200
    # A page elsewhere that was given the token may use it; from a browser it goes as a subprotocol.
    protocol = "memfold-token." + base64.urlsafe_b64encode(TOKEN.encode()).decode().rstrip("=")
    with guarded.stream("anomaly", subprotocols=["memfold", protocol]) as socket:
        assert socket.subprotocol == "memfold"
        assert answers(socket, ["300,0.5"])[0]["y"] == 0.5
        with guarded.stream("anomaly", additional_headers=bearer):
            assert refused(guarded, "anomaly", additional_headers=bearer) == 503  # ann has two
    told = "".join(guarded.said) + str(guarded.ask("/metrics", None, bearer)[2])
    assert TOKEN not in told
    assert digest(TOKEN) not in told


def test_a_state_is_good_for_its_own_token_alone(guarded: Running) -> None:
    mine, other = ({"Authorization": f"Bearer {token}"} for token in (TOKEN, ADMIN))
    with guarded.stream("anomaly", additional_headers=mine) as socket:
        answers(socket, ["300,0.5"])
        socket.send('{"state": true}')
        (said,) = lines(socket.recv(timeout=20))
    with guarded.stream("anomaly", additional_headers=other) as socket:
        socket.send(json.dumps({"resume": said["state"]}))
        assert "another model or token" in str(socket.recv(timeout=20))
    with guarded.stream("anomaly", additional_headers=mine) as socket:
        assert answers(socket, [json.dumps({"resume": said["state"]})]) == [{"resumed": True}]


def test_a_token_may_have_so_many_requests_a_second(guarded: Running) -> None:
    bearer = {"Authorization": f"Bearer {OTHER}"}
    found = [guarded.ask("/v1/models", None, bearer)[:2] for _ in range(8)]
    assert [status for status, _ in found][:3] == [200, 200, 200]
    assert 429 in [status for status, _ in found]
    assert all(int(headers["retry-after"]) >= 1 for status, headers in found if status == 429)


def test_an_admin_alone_has_models_read_again(guarded: Running) -> None:
    for token, expected in ((TOKEN, 403), (ADMIN, 200)):
        status, _, _ = guarded.ask("/v1/models/anomaly/reload", b"", {"Authorization": f"Bearer {token}"})
        assert status == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "holds no token"),
        ("ann", "64 hexadecimal"),
        (f"ann {digest('a')[:-1]}", "64 hexadecimal"),
        (f"ann {digest('a')} many", r"expected \[streams\]"),
        (f"ann {digest('a')} 0", r"expected \[streams\]"),
        (f"ann {digest('a')} 1 2 3", r"expected \[streams\]"),
        (f"ann {digest('a')}\nann {digest('b')}", "same name"),
        (f"ann {digest('a')}\nbob {digest('a')}", "same hash"),
    ],
)
def test_a_file_of_tokens_that_is_none_is_refused(text: str, expected: str, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(text)
    with pytest.raises(InputError, match=expected):
        read_tokens(file)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    signed = Signer.of(file).sign(b"state", "ann", "model")
    assert Signer.of(file).read(signed, "ann", "model") == b"state"
    for owner, name in (("bob", "model"), ("ann", "other")):
        with pytest.raises(InputError, match="not given"):
            Signer.of(file).read(signed, owner, name)
    file.chmod(0o644)
    with pytest.raises(InputError, match="others can read the key"):
        Signer.of(file)
    file.chmod(0o600)
    file.write_text("short\n")
    with pytest.raises(InputError, match="holds no key"):
        Signer.of(file)


# -- without tokens: this machine alone -------------------------------------------------------------------------


def test_another_host_takes_tokens() -> None:
    for host in ("0.0.0.0", "::", "192.168.1.2", "example.org"):
        with pytest.raises(InputError, match="without --tokens"):
            Access(None, host)


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000", "LOCALHOST:8000", "localhost"])
def test_this_machine_is_answered(host: str) -> None:
    access = Access(None, "127.0.0.1")
    assert access.caller({"host": host}).is_admin
    assert access.caller({"host": host, "origin": f"http://{host}"}).is_admin


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": ""},
        {"host": "evil.example:8000"},
        {"host": "localhost.evil.example:8000"},
        {"host": "127.0.0.1.nip.io:8000"},
        {"host": "127.0.0.1@evil.example"},
        {"host": "[::ffff:8.8.8.8]:8000"},
        {"host": "[not"},
        {"host": "0.0.0.0:8000"},
        {"host": "localhost:8000", "origin": "http://evil.example"},
        {"host": "localhost:8000", "origin": "null"},
        {"host": "localhost:8000", "origin": ""},
        {"host": "localhost:8000", "origin": "http://localhost:9000"},
        {"host": "localhost:8000", "origin": "http://localhost.evil.example:8000"},
        {"host": "localhost:8000", "origin": "file://"},
    ],
)
def test_a_page_of_another_site_is_not_answered(headers: dict[str, str]) -> None:
    with pytest.raises(RefusedError):
        Access(None, "127.0.0.1").caller(headers)


def test_foreign_hosts_and_origins_get_no_stream_either(small: Running) -> None:
    here = f"127.0.0.1:{small.port}"
    assert small.ask("/v1/models", None, {"Host": "evil.example"})[0] == 421
    assert small.ask("/v1/models", None, {"Origin": "http://evil.example"})[0] == 403
    assert refused(small, "anomaly", origin="http://evil.example") == 403
    with small.stream("anomaly", origin=f"http://{here}") as socket:
        assert answers(socket, ["300,0.5"])


# -- limits -----------------------------------------------------------------------------------------------------


def test_a_body_has_a_bound_whether_its_length_is_told_or_not(small: Running) -> None:
    path, kind = "/v1/models/anomaly/predict", {"Content-Type": "text/csv"}
    assert small.ask(path, b"ds,y\n1,2\n" + b"3,4\n" * 600, kind)[0] == 413
    with sockets.create_connection(("127.0.0.1", small.port), timeout=20) as raw:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        raw.sendall(head.encode() + b"".join(b"3e8\r\n" + b"1" * 1000 + b"\r\n" for _ in range(4)))
        assert b" 413 " in raw.recv(1000)


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (b"", "text/csv", "the body is empty"),
        (b"ds,y\n1,2\n", "text/html", "Content-Type 'text/html' is not taken"),
        (b"{", "application/json", "not readable as JSON"),
        (b"[" * 1500, "application/json", "not readable as JSON"),
        (b"{}", "application/json", 'expected {"rows"'),
        (b'{"rows": [1]}', "application/json", "rows that are objects"),
        (b'{"rows": [{"ds": 1}, {"y": 2}]}', "application/json", "row 2 has other names"),
        (b'{"rows": [{"ds": 1, "y": [2]}]}', "application/json", "row 1 holds more than"),
        (b"\xff\xfe\x00", "text/csv", ""),
        (b"ds,y\nno,numbers\n", "text/csv", ""),
    ],
)
def test_what_is_no_input_is_named(small: Running, body: bytes, kind: str, expected: str) -> None:
    status, _, answer = small.ask("/v1/models/anomaly/predict", body, {"Content-Type": kind})
    assert status == 400
    assert expected in answer["error"]
    assert "/" not in answer["error"].replace("text/", "").replace("application/", "")  # no file of the server


def test_a_request_names_no_file_of_the_server(small: Running) -> None:
    file = Path(__file__)
    table = f"file,label\n{file},1\n".encode()
    assert small.ask("/v1/models/command/predict", table, {"Content-Type": "text/csv"})[0] == 400
    status, _, answer = small.ask("/v1/models/command/predict?gallery=/etc", b"RIFF", {"Content-Type": "audio/wav"})
    assert (status, "no parameter" in answer["error"] or "not taken" in answer["error"]) == (400, True)


def test_addresses_and_methods_that_are_none(small: Running) -> None:
    assert small.ask("/nothing")[0] == 404
    assert small.ask("/v1/models/nothing")[0] == 404
    assert small.ask("/v1/models/anomaly/predict")[0] == 405


def test_streams_and_messages_have_bounds(small: Running) -> None:
    with small.stream("command") as one, small.stream("command") as two, small.stream("command") as three:
        assert refused(small, "command") == 503
        one.send(b"odd")
        assert closed(one) == (1003, "a message of another kind")
        two.send(pcm(np.zeros(9000, np.float32)))
        assert closed(two) == (1009, "too much sound in a message")
        three.send(b"\0" * 20_002)
        assert closed(three)[0] == 1009
    with small.stream("command") as socket:
        socket.send("a line")
        assert closed(socket)[0] == 1003
    with small.stream("anomaly") as socket:
        socket.send(b"300,0.5")
        assert closed(socket)[0] == 1003


def test_a_stream_that_idles_is_closed(small: Running) -> None:
    with small.stream("anomaly") as socket:
        answers(socket, ["300,0.5"])
        assert closed(socket) == (1008, "idle")


def test_a_stream_that_is_too_old_is_closed() -> None:
    with Running([ANOMALY], "--set", "life_seconds=2") as server, server.stream("anomaly") as socket:
        begun, reason = time.monotonic(), None
        while reason is None and time.monotonic() < begun + 20:
            try:
                answers(socket, [f"{time.monotonic()},0.5"])
                time.sleep(0.2)
            except ConnectionClosed as error:
                reason = error.rcvd.reason if error.rcvd else ""
        assert reason == "too old"


def test_a_client_that_does_not_read_is_closed(small: Running) -> None:
    """Its answers fill what the sockets hold; then it has a second, and the others notice nothing."""
    message = "\n".join(f"{300 + k},0.5" for k in range(900)).encode()
    frame = b"\x81" + bytes([0x80 | 126]) + len(message).to_bytes(2, "big") + b"\0\0\0\0" + message
    with sockets.create_connection(("127.0.0.1", small.port), timeout=20) as slow:
        slow.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        slow.sendall(
            b"GET /v1/models/anomaly/stream HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        assert b" 101 " in slow.recv(4096)
        for _ in range(8):
            slow.sendall(frame)
        until, page = time.monotonic() + 20, ""
        while 'reason="slow reader"' not in page and time.monotonic() < until:
            with small.stream("anomaly") as other:
                assert answers(other, ["300,0.5"])[0]["y"] == 0.5
            page = small.ask("/metrics")[2]
    assert 'reason="slow reader"' in page


def test_clients_that_vanish_leave_no_stream(small: Running) -> None:
    for _ in range(20):
        with small.stream("anomaly") as socket:
            answers(socket, ["300,0.5"])
            socket.send("301,0.5")
            socket.socket.close()
    until = time.monotonic() + 20
    while 'memfold_open_streams{model="anomaly"} 0.0' not in small.ask("/metrics")[2] and time.monotonic() < until:
        time.sleep(0.1)
    assert 'memfold_open_streams{model="anomaly"} 0.0' in small.ask("/metrics")[2]


@settings(max_examples=40, deadline=None)
@given(
    st.one_of(
        st.text(max_size=300), st.binary(max_size=300), st.sampled_from(['{"resume": 1}', '{"finish": 1}', "{}", "[]"])
    )
)
def test_any_message_is_answered_or_ends_the_stream(small: Running, message: str | bytes) -> None:
    for name in ("anomaly", "command"):
        with small.stream(name, "?acknowledge=true") as socket:
            with suppress(ConnectionClosed):
                socket.send(message)
                socket.recv(timeout=20)
            assert socket.close_code in (None, 1000, 1003, 1008, 1009)
    assert small.ask("/healthz")[2] == "ok"
    assert not any("Traceback" in line for line in small.said)


# -- models that change -----------------------------------------------------------------------------------------


def test_a_damaged_model_never_takes_the_place_of_one_that_answers(tmp_path: Path) -> None:
    folder, better = tmp_path / "model", tmp_path / "better"
    shutil.copytree(model("anomaly"), folder)
    shutil.copytree(model("anomaly"), better)
    config = json.loads((better / "config.json").read_text())
    config["parameters"]["false_alarms"] = 2.0
    (better / "config.json").write_text(json.dumps(config))
    with Running([f"m={folder}"], "--watch", "0.3") as server, server.stream("m") as old:
        first = answers(old, ["300,0.5"])
        before = server.ask("/v1/models/m")[2]["sha256"]
        weights = folder / "model.safetensors"
        whole = weights.read_bytes()
        weights.write_bytes(whole[: len(whole) // 2])
        status, _, answer = server.ask("/v1/models/m/reload", b"")
        assert status == 422
        assert "model.safetensors" in answer["error"]
        server.wait_for("not read again")
        with server.stream("m") as socket:
            assert answers(socket, ["300,0.5"]) == first
        shutil.rmtree(folder)
        server.wait_for("no such model folder")
        shutil.copytree(better, tmp_path / "aside")
        (tmp_path / "aside").rename(folder)
        server.wait_for("a new version answers")
        assert server.ask("/v1/models/m")[2]["sha256"] != before
        with server.stream("m") as socket:
            assert answers(socket, ["300,0.5"])[0]["y"] == 0.5
        assert answers(old, ["301,0.25"])[0]["y"] == 0.25  # it stays with the version that it began with
        server.process.send_signal(signal.SIGHUP)
        assert server.ask("/v1/models/m/reload", b"")[2]["changed"] is False


def test_names_of_models(tmp_path: Path) -> None:
    (tmp_path / "a=b").mkdir()
    (tmp_path / "plain").mkdir()
    assert named([f"x={tmp_path}", str(tmp_path / "plain")]) == {"x": tmp_path, "plain": tmp_path / "plain"}
    with pytest.raises(InputError, match="name it"):
        named([str(tmp_path / "a=b")])
    with pytest.raises(InputError, match="two models are called"):
        named([f"x={tmp_path}", f"x={tmp_path}"])
    with pytest.raises(InputError, match="streams is 0"):
        Limits(streams=0)


def test_a_fault_in_one_tick_is_told_to_those_in_it_and_the_next_goes_on() -> None:
    from memfold.runtime import load

    async def go() -> None:
        pool = load(model("anomaly")).pool(2)
        batcher = Batcher(pool, "m", Metrics())
        session = await batcher.open()
        with pytest.raises(RuntimeError, match="the engine failed"):
            await batcher.push(session, [(1,)])
        assert (await batcher.push(session, ["300,0.5"]))[0]["y"] == 0.5
        waiting = asyncio.create_task(batcher.push(session, ["301,0.5"] * 50))
        await asyncio.sleep(0)
        await batcher.release(session)
        waiting.cancel()
        batcher.close()

        assert len(pool) == 0

    asyncio.run(go())


def test_what_one_client_sends_ends_no_other_stream(small: Running) -> None:
    """In one tick with it: numbers that no float holds, half a pair of surrogates, types that are none."""
    wrong = ["300,1e160", '{"ds": 300, "y": 1%s}' % ("0" * 400), '{"ds": 1%s, "y": 1}' % ("0" * 400)]
    wrong += ['{"ds": 300, "y": 1, "unique_id": "\\ud800"}', '{"ds": [], "y": {}}', "[[[[", "\x00,\x00"]
    with small.stream("anomaly") as one, small.stream("anomaly") as other:
        for k, line in enumerate(wrong):
            one.send(line)
            other.send(f"{300 + k},0.5")
            assert lines(other.recv(timeout=20))[0]["y"] == 0.5
            assert lines(one.recv(timeout=20))
    assert not any("Traceback" in line for line in small.said)

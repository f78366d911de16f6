"""The addresses of a server: what is asked at each, and by whom."""

import asyncio
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute

from memfold.errors import InputError
from memfold.serve.access import PROTOCOL, Access, Caller, RefusedError, Signer
from memfold.serve.hosting import Hosted
from memfold.serve.limits import Limits
from memfold.serve.metrics import CONTENT_TYPE, Metrics
from memfold.serve.openapi import description
from memfold.serve.predicting import predicted
from memfold.serve.streaming import Stream, Streams

__all__ = ["Server"]

log = logging.getLogger("memfold.serve")

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

OPEN_TO_ALL = ("/", "/favicon.ico", "/page.js", "/page.css", "/healthz", "/readyz", "/openapi.json")
# The page runs its own script and calls its own server, nothing else.
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:"
HEADERS = {
    "Content-Security-Policy": POLICY + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
PAGE = {"/": "page.html", "/page.js": "page.js", "/page.css": "page.css"}
TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css"}
WORKERS = 2  # threads that predict; of one model they take turns


class Server:
    """A server's models, limits and addresses.

    Attributes:
        is_ready: whether new streams and requests are taken.
        app: the ASGI application.
    """

    def __init__(
        self, models: Mapping[str, Hosted], access: Access, signer: Signer, limits: Limits, metrics: Metrics
    ) -> None:
        self.models, self.access, self.limits, self.metrics = models, access, limits, metrics
        self.streams = Streams(limits, signer, metrics)
        self.is_ready = False
        self._requests = 0
        self._workers = ThreadPoolExecutor(WORKERS, "predict")
        routes = [
            *(Route(path, self._page) for path in PAGE),
            Route("/favicon.ico", lambda request: Response(status_code=204)),
            Route("/healthz", self._healthz),
            Route("/readyz", self._readyz),
            Route("/metrics", self._metrics),
            Route("/openapi.json", self._openapi),
            Route("/v1/models", self._models),
            Route("/v1/models/{name}", self._model),
            Route("/v1/models/{name}/predict", self._predict, methods=["POST"]),
            Route("/v1/models/{name}/reload", self._reload, methods=["POST"]),
            WebSocketRoute("/v1/models/{name}/stream", _Streaming(self)),
        ]
        failures = {404: _not_found, 405: _not_allowed, 500: _failed, RefusedError: _refused}
        inner = Starlette(routes=routes, exception_handlers=failures)
        inner.state.count = lambda refusal: metrics.refused.labels(_short(refusal)).inc()
        self.app = _Gate(inner, self)

    def find(self, name: str) -> Hosted:
        """A model by name.

        Raises:
            RefusedError: there is none.
        """
        if name not in self.models:
            raise RefusedError(404, "no such model; GET /v1/models lists them")
        return self.models[name]

    # -- what is asked ---------------------------------------------------------------------------------------

    async def _page(self, request: Request) -> Response:
        name = PAGE[request.url.path]
        text = files("memfold.serve").joinpath(name).read_text(encoding="utf-8")
        if name == "page.css":
            text = files("memfold.drawing").joinpath("colours.css").read_text(encoding="utf-8") + text
        return Response(text, media_type=TYPES[name.rpartition(".")[2]], headers=HEADERS)

    async def _healthz(self, request: Request) -> Response:
        return PlainTextResponse("ok")

    async def _readyz(self, request: Request) -> Response:
        return PlainTextResponse("ready" if self.is_ready else "stopping", 200 if self.is_ready else 503)

    async def _metrics(self, request: Request) -> Response:
        return Response(self.metrics.page(), headers={"content-type": CONTENT_TYPE})

    async def _openapi(self, request: Request) -> Response:
        return JSONResponse(description(list(self.models)))

    async def _models(self, request: Request) -> Response:
        return JSONResponse({"models": [hosted.version.describe() for hosted in self.models.values()]})

    async def _model(self, request: Request) -> Response:
        version = self.find(request.path_params["name"]).version
        return JSONResponse({**version.describe(), "card": version.card})

    async def _reload(self, request: Request) -> Response:
        if not request.scope["caller"].is_admin:
            raise RefusedError(403, "only a token with admin may have a model read again")
        hosted = self.find(request.path_params["name"])
        try:
            changed = await hosted.reload()
        except InputError as error:
            raise RefusedError(422, f"{error}; the model that was there goes on answering") from None
        return JSONResponse({"changed": changed, **hosted.version.describe()})

    async def _predict(self, request: Request) -> Response:
        name = request.path_params["name"]
        hosted = self.find(name)
        if not self.is_ready:
            raise RefusedError(503, "the server stops", 1)
        if self._requests >= self.limits.requests:
            raise RefusedError(503, "too many requests at a time", 1)
        self._requests += 1
        begun, status = time.monotonic(), 500
        try:
            body = await self._body(request)
            self.metrics.received.labels(name).inc(len(body))
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            version = hosted.version
            work = self._workers.submit(predicted, version, body, kind, dict(request.query_params))
        except BaseException:
            self._requests -= 1
            raise
        loop = asyncio.get_running_loop()
        work.add_done_callback(lambda _: loop.call_soon_threadsafe(self._done))
        try:
            answer = await asyncio.wait_for(asyncio.wrap_future(work), self.limits.request_seconds)
            status = 200
            return Response(
                json.dumps(
                    _finite({"model": name, "sha256": version.sha256, **answer}), ensure_ascii=False, default=str
                ),
                media_type="application/json",
            )
        except TimeoutError:
            status = 504
            raise RefusedError(504, f"no answer within {self.limits.request_seconds:g} seconds") from None
        except InputError as error:
            status = 400
            raise RefusedError(400, str(error)) from None
        finally:
            self.metrics.requests.labels(name, str(status)).inc()
            self.metrics.predict.labels(name).observe(time.monotonic() - begun)

    def _done(self) -> None:
        self._requests -= 1

    async def _body(self, request: Request) -> bytes:
        """The body, of which no more is read than may be."""
        most = self.limits.body_bytes
        length = request.headers.get("content-length", "0")
        if length.isdigit() and int(length) > most:
            raise RefusedError(413, f"the body is over {most:,} bytes")
        parts, size = [], 0
        try:
            async with asyncio.timeout(self.limits.request_seconds):
                async for part in request.stream():
                    size += len(part)
                    if size > most:
                        raise RefusedError(413, f"the body is over {most:,} bytes")
                    parts.append(part)
        except TimeoutError:
            raise RefusedError(408, "the body took too long") from None
        return b"".join(parts)

    def admit(self, caller: Caller, name: str) -> None:
        """Make sure that one more stream may be opened.

        Raises:
            RefusedError: it may not.
        """
        if not self.is_ready:
            raise RefusedError(503, "the server stops", 1)
        version = self.find(name).version
        if version.batcher is None:
            raise RefusedError(404, f"no streams: {version.why_no_stream}")
        if sum(stream.version.name == name for stream in self.streams.open) >= self.limits.streams:
            raise RefusedError(503, "too many streams", 5)
        if self.access.callers is not None and caller.open_streams >= (caller.streams or self.limits.streams_a_token):
            raise RefusedError(503, "too many streams of this token", 5)


class _Streaming:
    """The WebSocket of streams."""

    def __init__(self, server: Server) -> None:
        self.server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        server, caller, name = self.server, scope["caller"], scope["path_params"]["name"]
        server.admit(caller, name)
        await receive()  # websocket.connect
        protocols = scope.get("subprotocols", [])
        await send({"type": "websocket.accept", "subprotocol": PROTOCOL if PROTOCOL in protocols else None})
        acknowledges = b"acknowledge=true" in scope.get("query_string", b"").split(b"&")
        version = server.find(name).version
        await Stream(server.streams, version, caller, receive, send, acknowledges).run()


class _Gate:
    """Before every address: who asks, and whether they may."""

    def __init__(self, app: Any, server: Server) -> None:
        self.app, self.server = app, server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            public = scope["type"] == "http" and scope["path"] in OPEN_TO_ALL and self.server.access.callers is not None
            scope["caller"] = Caller() if public else self.server.access.caller(headers)
            if not public:
                scope["caller"].count()
            if scope["type"] == "websocket":
                await self.app(scope, receive, send)
                return
        except RefusedError as refusal:
            self.server.metrics.refused.labels(_short(refusal)).inc()
            await _refuse(scope, send, refusal)
            return
        await self.app(scope, receive, send)


def _short(refusal: RefusedError) -> str:
    return refusal.reason.partition(";")[0].partition(":")[0][:60]


def _body_of(refusal: RefusedError) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    headers = [(b"content-type", b"application/json")]
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if refusal.wait is not None:
        headers.append((b"retry-after", str(max(1, math.ceil(refusal.wait))).encode()))
    return json.dumps({"error": refusal.reason}, ensure_ascii=False).encode(), headers


async def _refuse(scope: Scope, send: Send, refusal: RefusedError) -> None:
    """Answer a request that is not let in, a WebSocket's before it is one."""
    body, headers = _body_of(refusal)
    kind = "http.response"
    if scope["type"] == "websocket":
        kind = "websocket.http.response"
        if kind not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1013 if refusal.status == 503 else 1008})
            return
    await send({"type": f"{kind}.start", "status": refusal.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    request.app.state.count(error)
    body, headers = _body_of(error)
    return Response(body, error.status, {name.decode(): value.decode() for name, value in headers})


async def _not_found(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "no such address; /openapi.json lists them"}, 404)


async def _not_allowed(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "this address takes another method"}, 405, getattr(error, "headers", None))


async def _failed(request: Request, error: Exception) -> Response:
    log.exception("a request failed", exc_info=error)
    return JSONResponse({"error": "an error of the server; its log says more"}, 500)


def _finite(value: Any) -> Any:
    """Without numbers that JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value

"""Who may come in: tokens, and without them only programs of this machine; states that only this server signs."""

import base64
import hashlib
import hmac
import os
import re
import secrets
import stat
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from memfold.errors import InputError, shown

__all__ = ["LOOPBACK", "Access", "Caller", "RefusedError", "Signer", "read_tokens"]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
PROTOCOL, TOKEN_PROTOCOL = "memfold", "memfold-token."  # of a WebSocket; what follows is a token in base64url
KEY_BYTES = 32
SIGNED = b"memfold state 1"


class RefusedError(Exception):
    """A client is not let in.

    Attributes:
        status: of HTTP.
        reason: for the client and the metrics; it holds nothing that the client sent.
        wait: seconds after which it may try again; None when that would change nothing.
    """

    def __init__(self, status: int, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.wait = status, reason, wait


@dataclass
class Caller:
    """Who has a token; without tokens there is one for all.

    Attributes:
        streams: that it may have open; None for the server's limit.
        per_second: requests and new streams a second; None for as many as come.
        is_admin: whether it may have models read again.
        open_streams: at the moment.
    """

    name: str = ""
    digest: bytes = b""
    streams: int | None = None
    per_second: float | None = None
    is_admin: bool = False
    open_streams: int = 0
    _saved: float = field(default=0.0, repr=False)  # requests that it may make at once
    _counted: float = field(default=0.0, repr=False)  # when that was so

    def count(self) -> None:
        """Count a request.

        Raises:
            RefusedError: there were too many.
        """
        if self.per_second is None:
            return
        now = time.monotonic()
        most = max(1.0, self.per_second)
        self._saved = min(most, self._saved + (now - self._counted) * self.per_second) if self._counted else most
        self._counted = now
        if self._saved < 1:
            raise RefusedError(429, "too many requests a second", (1 - self._saved) / self.per_second)
        self._saved -= 1


def read_tokens(file: Path) -> list[Caller]:
    """The lines ``name sha256 [streams] [per-second] [admin]`` of a file.

    Raises:
        InputError: the file cannot be read, or a line is another.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read ({error})") from None
    callers = []
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].split()
        if words:
            callers.append(_caller(words, f"{file}, line {number}"))
    for what, values in (("name", [one.name for one in callers]), ("hash", [one.digest for one in callers])):
        if len(set(values)) < len(values):
            raise InputError(f"{file}: two lines with the same {what}")
    if not callers:
        raise InputError(f"{file}: holds no token; a line is: name sha256 [streams] [per-second] [admin]")
    return callers


def _caller(words: Sequence[str], where: str) -> Caller:
    name, digest, *rest = [*words, ""] if len(words) == 1 else words
    if not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
        raise InputError(f"{where}: expected a name and the SHA-256 of its token, 64 hexadecimal digits")
    is_admin = rest[-1:] == ["admin"]
    numbers = rest[: len(rest) - is_admin]
    try:
        streams = int(numbers[0]) if numbers else None
        per_second = float(numbers[1]) if len(numbers) > 1 else None
        if len(numbers) > 2 or any(number is not None and not number > 0 for number in (streams, per_second)):
            raise ValueError
    except ValueError:
        raise InputError(f"{where}: {shown(' '.join(rest))}, expected [streams] [per-second] [admin]") from None
    return Caller(name, bytes.fromhex(digest), streams, per_second, is_admin)


class Access:
    """Lets clients in by their tokens; without tokens, programs of this machine and no page of another site.

    Args:
        callers: who has a token; None without tokens.
        host: that the server listens on.
    """

    def __init__(self, callers: Sequence[Caller] | None, host: str) -> None:
        if callers is None and host not in LOOPBACK:
            raise InputError(f"--host {host}: without --tokens the server listens on {LOOPBACK[0]} alone")
        self.callers = callers
        self.anybody = Caller(is_admin=True)

    def caller(self, headers: Mapping[str, str]) -> Caller:
        """Who sends these headers, their names in small letters.

        Raises:
            RefusedError: nobody who may.
        """
        if self.callers is None:
            self._check_origin(headers)
            return self.anybody
        token = _token(headers)
        if token is None:
            raise RefusedError(401, "a token is needed: Authorization: Bearer TOKEN")
        digest = hashlib.sha256(token).digest()
        found = [one for one in self.callers if hmac.compare_digest(one.digest, digest)]  # looks at all of them
        if not found:
            raise RefusedError(401, "no such token")
        return found[0]

    def _check_origin(self, headers: Mapping[str, str]) -> None:
        """A page of another site can have a browser call this machine, by name or number: its Origin, or the Host that
        it took for us, gives it away."""
        if _host_of(f"//{headers.get('host', '')}") not in LOOPBACK:
            raise RefusedError(421, "the Host is not this machine; without tokens only programs of it are answered")
        origin = headers.get("origin")
        if origin is None:
            return
        here, there = urlsplit(f"//{headers['host']}"), urlsplit(origin)
        if _host_of(origin) not in LOOPBACK or _port_of(here.netloc) != _port_of(there.netloc):
            raise RefusedError(403, "the Origin is another site; without tokens this server's page alone is answered")


def _host_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _port_of(netloc: str) -> str:
    return netloc.rpartition(":")[2] if re.search(r":\d+$", netloc) else ""


def _token(headers: Mapping[str, str]) -> bytes | None:
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and token.strip():
        return token.strip().encode("latin-1", "replace")
    for protocol in headers.get("sec-websocket-protocol", "").split(","):
        if (protocol := protocol.strip()).startswith(TOKEN_PROTOCOL):
            return _decoded(protocol.removeprefix(TOKEN_PROTOCOL))
    return None


def _decoded(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""


class Signer:
    """Signs the states that clients keep, so that none is taken that this server, or one with its key, did not give.

    Args:
        key: some bytes that no client knows.
    """

    def __init__(self, key: bytes) -> None:
        self.key = key

    @classmethod
    def of(cls, file: Path | None) -> "Signer":
        """By the key in a file that only its owner can read, which is made when it is not there; without a file, by one
        that is forgotten when the server ends.

        Raises:
            InputError: others can read the file, or it holds no key.
        """
        if file is None:
            return cls(secrets.token_bytes(KEY_BYTES))
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return cls(_read_key(file))
        except OSError as error:
            raise InputError(f"{file}: cannot be written ({error})") from None
        key = secrets.token_bytes(KEY_BYTES)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(key.hex() + "\n")
        return cls(key)

    def sign(self, state: bytes, owner: str, model: str) -> str:
        """A state as text, good for this owner and this model."""
        return base64.urlsafe_b64encode(self._mac(state, owner, model) + state).decode()

    def read(self, text: str, owner: str, model: str) -> bytes:
        """The state that `sign` made a text of.

        Raises:
            InputError: it did not.
        """
        content = _decoded(text)
        mac, state = content[:32], content[32:]
        if not hmac.compare_digest(mac, self._mac(state, owner, model)):
            raise InputError("this state was not given by this server, or for another model or token")
        return state

    def _mac(self, state: bytes, owner: str, model: str) -> bytes:
        return hmac.digest(self.key, b"\0".join((SIGNED, owner.encode(), model.encode(), state)), "sha256")


def _read_key(file: Path) -> bytes:
    try:
        mode = file.stat().st_mode
        text = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read ({error})") from None
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise InputError(f"{file}: others can read the key; chmod 600 {file}")
    if not re.fullmatch(rf"[0-9a-f]{{{2 * KEY_BYTES}}}", text):
        raise InputError(f"{file}: holds no key of a server; name a new file, and one is made")
    return bytes.fromhex(text)

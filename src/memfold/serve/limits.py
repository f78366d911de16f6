"""What a server allows: everything that a client could make grow has a bound."""

from dataclasses import dataclass, fields

from memfold.errors import InputError

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """Bounds of a server.

    Attributes:
        streams: that may be open at a time, of each model.
        streams_a_token: that may be open at a time with one token, where the token's line says nothing else.
        body_bytes: of a request.
        message_bytes: of a stream's message, a state that is given back among them.
        message_seconds: of sound in a stream's message.
        requests: that are worked on or wait at a time.
        request_seconds: that an answer may take.
        idle_seconds: without a message, after which a stream is closed.
        life_seconds: of a stream.
        unsent_seconds: that a client may take to read an answer.
        grace_seconds: that open streams have when the server stops.
    """

    streams: int = 1000
    streams_a_token: int = 200
    body_bytes: int = 20_000_000
    message_bytes: int = 4_000_000
    message_seconds: float = 10.0
    requests: int = 8
    request_seconds: float = 60.0
    idle_seconds: float = 300.0
    life_seconds: float = 86_400.0
    unsent_seconds: float = 10.0
    grace_seconds: float = 10.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise InputError(f"{field.name} is {getattr(self, field.name)}, expected more than 0")

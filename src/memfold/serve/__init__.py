"""A server for models: whole inputs by HTTP, streams by WebSocket, many streams in one engine."""

from memfold.serve.limits import Limits
from memfold.serve.server import serve

__all__ = ["Limits", "serve"]

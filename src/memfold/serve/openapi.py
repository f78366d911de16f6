"""The server's addresses as OpenAPI describes them."""

from collections.abc import Sequence
from typing import Any

from memfold.serve.predicting import TAKES

__all__ = ["description"]

ERROR = {
    "description": "What is wrong, in words",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["error"],
                "properties": {"error": {"type": "string"}},
            }
        }
    },
}

ERRORS = {str(status): ERROR for status in (400, 401, 403, 404, 405, 408, 413, 421, 422, 429, 500, 503, 504)}


def operation(summary: str, answer: dict[str, Any], content: str = "application/json", **more: Any) -> dict[str, Any]:
    """A method of an address, and what it answers when all is well."""
    good = {"200": {"description": "The answer", "content": {content: {"schema": answer}}}}
    return {"summary": summary, "responses": {**good, **ERRORS}, **more}


def description(models: Sequence[str]) -> dict[str, Any]:
    """The document of ``/openapi.json``.

    Args:
        models: names of the models that there are.
    """
    names = {"type": "string", "enum": list(models)}
    name = {"name": "name", "in": "path", "required": True, "schema": names, "description": "of a model"}
    kinds = sorted({kind for some in TAKES.values() for kind in some})
    bodies = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in kinds}
    bodies["application/json"] = {"schema": {"type": "object"}}

    text, thing = {"type": "string"}, {"type": "object"}
    paths: dict[str, Any] = {
        "/": {"get": operation("A page to try each model by hand", text, "text/html")},
        "/healthz": {"get": operation("Whether the server lives", text, "text/plain")},
        "/readyz": {"get": operation("Whether it takes new streams and requests", text, "text/plain")},
        "/metrics": {"get": operation("Counters for Prometheus", text, "text/plain")},
        "/openapi.json": {"get": operation("This document", thing)},
        "/v1/models": {"get": operation("The models", thing)},
        "/v1/models/{name}": {"get": operation("A model and its card", thing, parameters=[name])},
        "/v1/models/{name}/predict": {
            "post": operation(
                "The answer to a whole input, as memfold predict gives it; a task's options are parameters",
                thing,
                parameters=[name],
                requestBody={"required": True, "content": bodies},
            )
        },
        "/v1/models/{name}/reload": {
            "post": operation("Read the model's folder again (a token with admin)", thing, parameters=[name])
        },
        "/v1/models/{name}/stream": {
            "get": {
                "summary": "A WebSocket: lines or sound of 16 bits in, answers as memfold stream prints them",
                "description": 'Text messages {"resume": STATE} (first), {"state": true} and {"finish": true} ask for '
                "more; ?acknowledge=true answers every message, by an empty one where there is no answer.",
                "parameters": [name],
                "responses": {"101": {"description": "The stream is open"}, "404": ERROR, **ERRORS},
            }
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "memfold serve",
            "version": "1",
            "description": "Recurrent networks, whole inputs and streams",
        },
        "paths": paths,
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}, {}],
    }

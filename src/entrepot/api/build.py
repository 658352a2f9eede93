"""The HTTP interface as an application that app.py mounts at /api."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

import entrepot
from entrepot.api import documentation, problems
from entrepot.api.answers import REPLAYED_HEADER, doing_once, problems_of
from entrepot.api.contract import LARGER_BODIES, PATHS, Path
from entrepot.api.dependencies import Services, allow, let_in
from entrepot.api.frame import Frame
from entrepot.api.resources import reservations

_ABOUT = """
The hub's own resources are under `/v1`. The other paths are aliases for clients that were written before there was a
version; each says which resource it is.

**Signing in.** Programs send `Authorization: Bearer entrepot_...` (an API key); people `POST /v1/sign-in` and send the
token they get; agents send `marketplace-<agent>-<secret>`. Pages use a session cookie with an `X-CSRF-Token`.

**Errors** are `application/problem+json` (RFC 9457) with a stable `code` and the `requestId` that the log has too.

**Lists** come under their plural name with `nextCursor`; send it as `cursor` to go on.

**Sending twice.** A POST with an `Idempotency-Key` is done once; its answer is kept for a day and given again. That holds for
every POST but signing in.

Names are camelCase, times UTC (RFC 3339), amounts decimal text with a currency.
"""


class LeanRoute(APIRoute):
    """A route whose handler gets the request as it is: no dependencies, no models."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler itself."""
        handler: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return handler


def build_api(services: Services) -> FastAPI:
    """Return the application with every path of `entrepot.api.contract`."""
    app = FastAPI(
        title="Entrepot", version=entrepot.__version__, description=_ABOUT, openapi_url="/openapi.json",
        docs_url=None, redoc_url=None, redirect_slashes=False,
    )  # fmt: skip
    problems.install(app)
    # The busy paths first: routes are tried in order.
    for path in sorted(PATHS, key=lambda each: not each.lean):
        _add(app, services, path)
    documentation.install(app)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    app.add_middleware(Frame, secure=services.secure, larger=LARGER_BODIES)
    return app


def _add(app: FastAPI, services: Services, path: Path) -> None:
    summary = (path.handler.__doc__ or "").strip().splitlines()[0]
    description = f"The same as `{path.alias_of}`." if path.alias_of else None
    statuses = [422, 429, 500] if path.public else [401, 403, 404, 409, 422, 429, 500]
    extra: dict[str, Any] = {}
    if not path.public:
        extra["security"] = [{"bearer": []}, {"session": []}]
        extra["x-scope"] = path.scope.value if path.scope else None
        if path.method == "POST":
            extra["parameters"] = [_IDEMPOTENCY_KEY]
    name = f"{path.handler.__name__}_{path.path}".replace("/", "_").replace("{", "").replace("}", "")
    common: dict[str, Any] = {
        "methods": [path.method],
        "status_code": path.status,
        "summary": summary,
        "description": description or path.handler.__doc__,
        "responses": problems_of(*statuses),
        "tags": [_tag(path)],
        "operation_id": f"{path.method.lower()}{name}".replace("__", "_").replace("-", "_"),
    }
    if path.lean:
        handler = path.handler

        async def lean(request: Request) -> Response:
            response: Response = await handler(request, services)
            return response

        extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref("Reserve")}}}
        common["responses"][path.status] = {
            "description": "Made",
            "content": {"application/json": {"schema": _ref("Reserved")}},
        }
        app.router.add_api_route(
            path.path, lean, route_class_override=LeanRoute, response_model=None, openapi_extra=extra, **common
        )
        return
    guard = let_in(services) if path.public else allow(services, path.scope)
    handler = doing_once(path.handler) if path.method == "POST" and not path.public else path.handler
    app.router.add_api_route(
        path.path, handler, response_model=path.answer, openapi_extra=extra, dependencies=[Depends(guard)],
        **common,
    )  # fmt: skip


def _tag(path: Path) -> str:
    return "aliases" if path.alias_of else path.path.split("/")[2]


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document with what FastAPI cannot know: problems, ways to sign in, the lean bodies."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes,
            servers=[{"url": "/api"}],
        )  # fmt: skip
        components = document.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        _, lean = msgspec.json.schema_components(
            [reservations.Reserve, reservations.Reserved], ref_template="#/components/schemas/{name}"
        )
        schemas.update({**lean, "Problem": _PROBLEM})
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        components["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, agent token or person's token"},
            "session": {"type": "apiKey", "in": "cookie", "name": "entrepot_session"},
        }
        app.openapi_schema = document
    return app.openapi_schema


_IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Any text that is yours alone, such as a UUID. The request is done once: sent again within a day"
    f" with the same key it gets its first answer, with `{REPLAYED_HEADER}: true`. Another request with the same key is"
    " refused (422), one that comes while the first is being worked on too (409). Errors are not kept.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "requestId"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "requestId": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "pointer": {"type": "string", "description": "Where in the body"},
                    "parameter": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
    "additionalProperties": True,
}

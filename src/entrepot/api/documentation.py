"""The pages at /api/docs and /api/redoc, with their scripts served by the hub itself: no outside host is asked."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'"
)

_SWAGGER = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Entrepot API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="{root}/docs/assets/swagger-ui.css"></head>
<body><div id="swagger-ui"></div>
<script src="{root}/docs/assets/swagger-ui-bundle.js"></script><script src="{root}/docs/start.js"></script>
</body></html>"""

_START = """SwaggerUIBundle({
  url: document.currentScript.src.replace(/docs\\/start\\.js$/, "openapi.json"),
  dom_id: "#swagger-ui", deepLinking: true, tryItOutEnabled: true, persistAuthorization: false, validatorUrl: null,
});
"""

_REDOC = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Entrepot API</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>body {{ margin: 0 }}</style></head>
<body><redoc spec-url="{root}/openapi.json"></redoc>
<script src="{root}/docs/assets/redoc.standalone.js"></script></body></html>"""


def asset_folder() -> Path:
    """Return where the package `fastapi-offline` keeps the scripts of Swagger UI and ReDoc. Does not import it."""
    spec = find_spec("fastapi_offline")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("The package fastapi-offline is not installed: install Entrepot again.")
    return Path(spec.submodule_search_locations[0]) / "static"


def install(app: FastAPI) -> None:
    """Add the two pages and their scripts."""

    def page(template: str) -> Route:
        async def show(request: Request) -> Response:
            root = request.scope.get("root_path", "")
            return HTMLResponse(template.format(root=root), headers={"Content-Security-Policy": _POLICY})

        path = "/docs" if template is _SWAGGER else "/redoc"
        return Route(path, show, include_in_schema=False)

    async def start(_: Request) -> Response:
        return Response(_START, media_type="text/javascript")

    app.router.routes += [
        page(_SWAGGER),
        page(_REDOC),
        Route("/docs/start.js", start, include_in_schema=False),
        Mount("/docs/assets", StaticFiles(directory=asset_folder())),
    ]

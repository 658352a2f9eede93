"""Static files: their addresses carry a digest, so browsers may keep them for good."""

from __future__ import annotations

import hashlib
import shutil
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from entrepot.kernel.errors import Unavailable

STATIC = Path(__file__).parent / "static"
TEMPLATES = Path(__file__).parent / "templates"
HTMX = STATIC / "htmx.min.js"


class HtmxMissing(Unavailable):
    """static/htmx.min.js is missing: install the build dependency django-htmx, or install entrepot from its wheel."""


def ensure_htmx() -> Path:
    """Return htmx.min.js. In a checkout it is copied from the django-htmx package. Raises HtmxMissing."""
    if not HTMX.exists():
        try:
            source = files("django_htmx").joinpath("static/django_htmx/htmx-2.min.js")
            data = source.read_bytes()
        except (ModuleNotFoundError, FileNotFoundError):
            raise HtmxMissing from None
        part = HTMX.with_suffix(".part")
        part.write_bytes(data)
        shutil.move(part, HTMX)
    return HTMX


@lru_cache(maxsize=64)
def static_url(name: str) -> str:
    """Return the address of a static file, with the digest of what is in it."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"

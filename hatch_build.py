"""Build hook: copies htmx out of the django-htmx wheel, a build dependency, so that nothing is vendored."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TARGET = Path("src/entrepot/web/static/htmx.min.js")


class CopyHtmx(BuildHookInterface):  # type: ignore[type-arg]
    """Puts htmx.min.js where the pages expect it: in the wheel, and in the checkout of an editable install."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Copy the file before the build collects what it packs."""
        target = Path(self.root) / TARGET
        target.parent.mkdir(parents=True, exist_ok=True)
        with as_file(files("django_htmx") / "static" / "django_htmx" / "htmx-2.min.js") as source:
            unfinished = target.with_suffix(".unfinished")
            shutil.copyfile(source, unfinished)
            unfinished.replace(target)
        build_data["artifacts"].append(str(TARGET))

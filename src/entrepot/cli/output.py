"""What commands print: for people with rich, for machines as JSON, errors as one sentence."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print one JSON value on one line, ids and times as text."""
    print(json.dumps(value, default=str, ensure_ascii=False), flush=True)

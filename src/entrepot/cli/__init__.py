"""The command line: parses, calls a facade, prints. No rules."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0 done, 1 refused with one sentence on stderr, 2 not understood."""
    from entrepot.cli.commands import application
    from entrepot.kernel.errors import EntrepotError

    try:
        application(args=None if argv is None else list(argv))
    except EntrepotError as error:
        print(error.detail, file=sys.stderr)
        return 1
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0

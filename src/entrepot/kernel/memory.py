"""Garbage collection of a process that serves for days."""

from __future__ import annotations

import gc


def settle() -> None:
    """Call once everything is loaded: what is there now stays, so the collector need not walk through it again and again.

    Walking through all modules and models takes tenths of a second, in which nobody is answered.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)

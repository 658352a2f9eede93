"""`entrepot demo`: the whole job once, on a fresh hub and simulated marketplaces, judged by their own books."""

from __future__ import annotations

import importlib
import sys
from enum import StrEnum
from typing import Annotated

import typer

from entrepot.cli.output import err, out, print_json
from entrepot.cli.serve import sandbox_missing


class Faults(StrEnum):
    """How badly the simulated marketplaces behave."""

    NONE = "none"
    MILD = "mild"
    HARSH = "harsh"


class Strategy(StrEnum):
    """How the stock is divided over the channels."""

    FIXED_SHARES = "fixed_shares"
    EQUAL = "equal"
    POOL_MINUS_BUFFER = "pool_minus_buffer"
    RISK = "risk"


class Speed(StrEnum):
    """How fast the simulated shoppers and limits go."""

    REAL = "real"
    FAST = "fast"


def demo(
    orders: Annotated[int, typer.Option(min=1, help="How many orders the shoppers place.")] = 2000,
    speed: Annotated[Speed, typer.Option(help="`fast` compresses time.")] = Speed.FAST,
    faults: Annotated[Faults, typer.Option(help="What goes wrong meanwhile.")] = Faults.NONE,
    allocation: Annotated[
        Strategy, typer.Option(help="How the stock is divided over the channels.")
    ] = Strategy.FIXED_SHARES,
    channels: Annotated[
        str, typer.Option(help="Which marketplaces, with commas: shopify, amazon, square, ebay.")
    ] = "shopify,amazon,square",
    seed: Annotated[int, typer.Option(help="The same seed gives the same shoppers and faults.")] = 7,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")] = False,
) -> None:
    """Run the whole job headless in a temporary directory; ends with status 1 if a figure is wrong."""
    try:
        module = importlib.import_module("entrepot.demo")
    except ImportError as error:
        raise sandbox_missing(error) from error
    say = err.print if as_json or not sys.stdout.isatty() else out.print
    figures = module.run(
        orders=orders, speed=speed.value, faults=faults.value, seed=seed, strategy=allocation.value, report=say,
        channels=channels,
    )  # fmt: skip
    if as_json:
        print_json(figures)
    else:
        for name, value in figures.items():
            out.print(f"{name:>26}  {value}")
    wrong = ("lost", "duplicated", "avoidable_oversold_units", "stale_listings_at_end")
    if any(figures[name] for name in wrong) or not figures["ledger_ok"]:
        raise typer.Exit(1)

"""`entrepot allocation`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

import typer

from entrepot.cli.options import AsJson
from entrepot.cli.output import err, out, print_json

if TYPE_CHECKING:
    from entrepot.allocation.contracts import Policy
    from entrepot.allocation.order_file import Orders
    from entrepot.allocation.replay_locations import Arrangement
    from entrepot.allocation.simulate import Tally

T = TypeVar("T")
commands = typer.Typer(no_args_is_help=True, help="How stock is divided over channels.")


@commands.callback()
def _allocation() -> None:
    """How stock is divided over channels."""


@commands.command("simulate")
def simulate(
    file: Annotated[Path, typer.Argument(help="Past orders: CSV or Parquet with time, sku, quantity, channel, price.")],
    policies: Annotated[str, typer.Option(help="Policies to compare, by name.")] = "fixed_shares,equal,pool,risk",
    lag: Annotated[str, typer.Option(help="From a sale until all channels show it, such as 60s or 15min.")] = "60s",
    channels: Annotated[
        str, typer.Option(help="Where the file names no channels: channels and their parts of the orders.")
    ] = "first=0.5,second=0.3,third=0.2",
    seed: Annotated[int, typer.Option(help="Which order goes to which channel then.")] = 1,
    cover_days: Annotated[
        float, typer.Option(help="A SKU starts with, and is filled up to, sales of so many days.")
    ] = 28.0,
    every_days: Annotated[float, typer.Option(help="It is filled up every so many days.")] = 42.0,
    margin: Annotated[float, typer.Option(help="Margin as a part of the price.")] = 0.3,
    oversell_cost: Annotated[float, typer.Option(help="What an oversold unit costs, in margins.")] = 10.0,
    rules: Annotated[
        Path | None, typer.Option(help="Custom rules to compare too: a JSON file, as the page of policies has them.")
    ] = None,
    locations: Annotated[
        Path | None,
        typer.Option(
            help="Units by location: CSV with sku, location, units, and country, latitude, longitude if known. Each policy is"
            " tried with each of --choices."
        ),
    ] = None,
    choices: Annotated[
        str | None,
        typer.Option(
            help="Choices of locations, such as: all; without North; only South; North at South; 30% of North at South at first."
            " Usually all, and without each."
        ),
    ] = None,
    send: Annotated[
        str, typer.Option(help="From where orders are sent: priority (as in the file), nearest, or both with a comma.")
    ] = "priority",
    zone: Annotated[str, typer.Option(help="Time zone of the shop, such as Europe/Lisbon.")] = "UTC",
    as_json: AsJson = False,
) -> None:
    """Replay past orders under other policies: units oversold, lost and stranded, beside a clairvoyant."""
    from entrepot.allocation.order_file import read
    from entrepot.allocation.simulate import NAMED, Plan, Replay, Stocking
    from entrepot.allocation.simulation_outcomes import Outcome, conclusions, marked
    from entrepot.allocation.simulation_settings import lag_of, shares_of
    from entrepot.kernel.errors import InvalidInput

    names = _names(policies)
    for option, value in (("--cover-days", cover_days), ("--every-days", every_days)):
        if not 0 < value < 100_000:
            raise InvalidInput(f"{option} must be more than 0.")
    if not (0 < margin <= 1 and oversell_cost >= 0):
        raise InvalidInput("--margin must lie between 0 and 1, --oversell-cost must be 0 or more.")
    lag_s = _told("--lag", lag_of, lag)
    arranged = _arranged(locations, choices, send)
    orders = read(file, _told("--channels", shares_of, channels), seed=seed)
    found: dict[str, Tally] = {}
    past = Replay(orders.lines, _zone(zone))
    tried = {name: NAMED[name] for name in names} | ({"rules": _rules(rules)} if rules else {})
    outcomes, stocking = list[Outcome](), Stocking(cover_days, every_days)
    for name, policy in tried.items():
        for where, arrangement in arranged.items():
            label = _label(name, where)
            err.print(f"{label} ...")
            plan = Plan(policy, lag_s, stocking, margin, oversell_cost, arrangement=arrangement)
            found[label] = past.run(plan, orders.channels)
            outcomes.append(Outcome(name, lag_s, found[label], locations=where))
    words = conclusions(marked(outcomes, oversell_cost)) if locations else []
    if as_json:
        print_json(_as_json(orders, found, lag_s) | {"conclusions": words})
    else:
        _show(orders, found, lag, cover_days, every_days)
        out.print("\n".join(words))


def _names(told: str) -> list[str]:
    """Return the names of policies that were typed. Raises InvalidInput."""
    from entrepot.allocation.simulate import NAMED
    from entrepot.kernel.errors import InvalidInput

    names = [name.strip() for name in told.split(",") if name.strip()]
    for name in names:
        if name not in NAMED:
            raise InvalidInput(f"There is no policy {name!r} to simulate: choose among {', '.join(NAMED)}.")
    return names


def _label(policy: str, where: str) -> str:
    """Return what a trial is called: "pool", "pool without North"."""
    from entrepot.allocation.location_choices import ALL

    for start in ("Without ", "Only ", "All "):
        where = where.replace(start, start.lower(), 1) if where.startswith(start) else where
    return policy if where in ("", ALL.replace("All ", "all ")) else f"{policy} {where}"


def _arranged(path: Path | None, told: str | None, send: str) -> dict[str, Arrangement | None]:
    """Return the choices of locations to try, by their names; without a file of units one that does not ask."""
    from entrepot.allocation.location_choices import (
        ALL,
        SENDING,
        LocationChoice,
        check,
        choice_of,
        placed,
        sent_by,
        without,
    )
    from entrepot.allocation.location_file import read_stores
    from entrepot.allocation.replay_locations import Arrangement
    from entrepot.kernel.errors import InvalidInput

    ways = [way.strip() for way in send.split(",") if way.strip()]
    if not ways or not set(ways) <= set(SENDING):
        raise InvalidInput(f"--send: {send!r} is not among {', '.join(SENDING)}.")
    if path is None:
        if told or ways != ["priority"]:
            raise InvalidInput("--choices and --send need --locations, which tells what is where.")
        return {"": None}
    stores = read_stores(path)
    names = [location.name for location in stores.locations]
    chosen = [LocationChoice(ALL), *(without(name, name) for name in names)]
    if told:
        chosen = [
            _told("--choices", lambda text: choice_of(text, names), part) for part in told.split(";") if part.strip()
        ]
    chosen = sent_by(chosen, list(dict.fromkeys(ways)))
    _told("--choices", lambda _: check(chosen, []), "")
    found: dict[str, Arrangement | None] = {}
    for choice in chosen:
        placing = placed(choice, names)
        found[choice.name] = Arrangement(
            stores.locations, stores.units, frozenset(placing.left_out), placing.moves, placing.nearest
        )
    return found


def _zone(name: str) -> ZoneInfo:
    from entrepot.kernel.errors import InvalidInput

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise InvalidInput(f"--zone: {name!r} is not known: use a name such as Europe/Lisbon.") from None


def _rules(path: Path) -> Policy:
    """Return the rules of a file. Those about products and tags are refused: a file of orders does not tell them."""
    import json

    from entrepot.allocation.rules import check_policy
    from entrepot.kernel.errors import InvalidInput

    try:
        parameters = json.loads(path.read_text())
    except OSError as error:
        raise InvalidInput(f"--rules: {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise InvalidInput(f"--rules: {path} is not JSON: {error}.") from None
    if not isinstance(parameters, dict):
        raise InvalidInput(f'--rules: {path} must hold an object such as {{"rules": []}}.')
    policy = check_policy("rules", parameters)
    for place, rule in enumerate(parameters.get("rules", ()), start=1):
        for name in {"product", "tag"} & set(rule.get("if", {})):
            raise InvalidInput(
                f"--rules: rule {place} asks for the {name}, which a file of orders does not tell: use sku here, or simulate"
                " it in the hub, which knows."
            )
    return policy


def _told(option: str, read: Callable[[str], T], text: str) -> T:
    """Return what an option says; what is wrong with it names the option."""
    from entrepot.kernel.errors import InvalidInput

    try:
        return read(text)
    except InvalidInput as error:
        raise InvalidInput(f"{option}: {error.detail}") from None


def _show(orders: Orders, found: dict[str, Tally], lag: str, cover_days: float, every_days: float) -> None:
    from rich.table import Table

    skus = len({line.sku for line in orders.lines})
    how = "given out by the seed" if orders.assigned else "as in the file"
    out.print(
        f"{len(orders.lines):,} lines of {skus:,} SKUs on {', '.join(orders.channels)} ({how}); {orders.left_out:,} lines without"
        f" units to sell left out. Lag {lag}; stock for {cover_days:g} days, filled up every {every_days:g} days."
    )
    table = Table()
    for head in ("Policy", "Sold", "Oversold", "in stock-outs", "Lost", "", "Stranded", "Margin"):
        table.add_column(head, justify="left" if head == "Policy" else "right", overflow="fold")
    for name, tally in found.items():
        table.add_row(
            name,
            f"{tally.sold:,}",
            f"{tally.oversold:,}",
            f"{tally.stock_outs_oversold / max(1, tally.stock_outs):.2%}",
            f"{tally.lost:,}",
            f"{tally.lost / max(1, tally.clairvoyant_sold):.2%}",
            f"{tally.stranded:,}",
            f"{tally.margin_minor / tally.clairvoyant_margin_minor:.2%}" if tally.clairvoyant_margin_minor else "-",
        )
    out.print(table)
    out.print("Lost, stranded: units; margin, less oversells: of what a clairvoyant would have earned.")
    if any(tally.clairvoyant_parcels for tally in found.values()):
        _show_parcels(found)


def _show_parcels(found: dict[str, Tally]) -> None:
    from rich.table import Table

    table = Table()
    for head in ("Policy", "Parcels", "Abroad", "Orders split"):
        table.add_column(head, justify="left" if head == "Policy" else "right", overflow="fold")
    for name, tally in found.items():
        pairs = (
            (tally.parcels, tally.clairvoyant_parcels), (tally.parcels_abroad, tally.clairvoyant_parcels_abroad),
            (tally.orders_split, tally.clairvoyant_orders_split),
        )  # fmt: skip
        table.add_row(name, *(f"{ours:,} ({best:,})" for ours, best in pairs))
    out.print(table)
    out.print("Parcels: of one order from one location. Abroad: of those where both countries are known.")
    out.print("In brackets: the clairvoyant's.")


def _as_json(orders: Orders, found: dict[str, Tally], lag_s: float) -> dict[str, Any]:
    return {
        "lines": len(orders.lines),
        "left_out": orders.left_out,
        "channels": list(orders.channels),
        "channels_assigned": orders.assigned,
        "lag_s": lag_s,
        "policies": {
            name: {k: round(v, 2) if isinstance(v, float) else v for k, v in asdict(tally).items()}
            for name, tally in found.items()
        },
    }

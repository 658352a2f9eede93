"""Price lists, prices set by hand, exchange rates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from starlette.datastructures import UploadFile
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.catalog import exchange_rates, price_lists
from entrepot.catalog import reading as catalog
from entrepot.catalog.price_events import connections_meant
from entrepot.catalog.price_lists import PriceListInput
from entrepot.catalog.pricing import ROUNDINGS, PriceRule, Rate
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Scope
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import InvalidInput
from entrepot.sync import own_prices, price_moves
from entrepot.sync import reading as sync
from entrepot.sync.price_moves import Moves, PricesMove
from entrepot.web.product_forms import decimal_typed, id_typed
from entrepot.web.services import PageServices
from entrepot.web.stock_forms import Done, Typed, amount_typed, attempt, known_variants
from entrepot.web.templating import query
from entrepot.web.visit import Handler, Visit, page, parse_id

PAGE_SIZE = 50
TRIED_MAX = 20
FILE_MAX = 1_000_000


@dataclass(slots=True)
class Asks:
    """A form that may be sent again with what it was refused for confirmed: prices that move by more than the limit."""

    path: str
    form: Typed
    moves: Moves | None = None

    @property
    def confirmed(self) -> int:
        """How many prices whoever sent the form lets move so far."""
        text = self.form["confirmed"]
        return int(text) if text.isdecimal() and len(text) < 10 else 0

    @property
    def again(self) -> dict[str, str]:
        """What to send again."""
        return {name: value for name, value in self.form.items() if name not in ("csrf_token", "confirmed")}

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Keep what a refusal says, and let it go on."""
        try:
            yield
        except PricesMove as refusal:
            self.moves = refusal.moves
            raise


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes; they come before those of one product."""
    read, write = Scope.PRODUCTS_READ, Scope.PRODUCTS_WRITE
    return [
        Route("/products/prices", page(services, listing, read), methods=["GET"]),
        Route("/products/prices", page(services, create, write), methods=["POST"]),
        Route("/products/prices/rates", page(services, enter_rate, write), methods=["POST"]),
        Route("/products/prices/own", page(services, own, read), methods=["GET"]),
        Route("/products/prices/own", page(services, take_off, write), methods=["POST"]),
        Route("/products/prices/{id}", page(services, one, read), methods=["GET"]),
        *(
            Route(f"/products/prices/{{id}}/{verb}", page(services, _changing(verb), write), methods=["POST"])
            for verb in ("change", "set", "delete")
        ),
    ]


async def listing(visit: Visit) -> Response:
    """Price lists and exchange rates."""
    return await _listing(visit)


async def _listing(visit: Visit, error: str = "", typed: Typed | None = None, asks: Asks | None = None) -> Response:
    async with visit.transaction() as tx:
        rows = await price_lists.list_price_lists(tx)
        rates = await exchange_rates.list_rates(tx, 50)
        channels = await sync.connection_names(tx)
        counts = await own_prices.count_own(tx)
    return await visit.page(
        "price_lists.html", status=422 if error else 200, own=sum(each.count for each in counts), asks=asks,
        tab="prices", rows=rows, rates=rates, channels=channels,
        error=error, typed=typed or Typed(), roundings=ROUNDINGS, today=utc_now().date(), kinds=_kinds(visit),
    )  # fmt: skip


def _kinds(visit: Visit) -> list[tuple[str, str]]:
    return [(manifest.key, manifest.title) for manifest in visit.services.manifests()]


async def create(visit: Visit) -> Response:
    """Make a price list."""
    form = Typed(await visit.form())

    asks = Asks("/products/prices", form)

    async def work(tx: Tx) -> Done:
        with asks.listening():
            id = await price_moves.create(tx, visit.actor, _given(visit, form), asks.confirmed)
        await identity.record(tx, visit.actor, "price-list.create", "price_list", id, None, _shown(form))
        return f"/products/prices/{id}", "Made."

    return await attempt(visit, work, lambda error: _listing(visit, error, form, asks))


def _shown(form: Typed) -> dict[str, str]:
    return {name: value for name, value in form.items() if name not in ("csrf_token", "confirmed")}


def _given(visit: Visit, form: Typed) -> PriceListInput:
    """Return the price list that a person typed. Raises InvalidInput."""
    currency = (form["currency"] or visit.organisation.currency).upper()
    if len(currency) != 3 or not currency.isascii() or not currency.isalpha():
        raise InvalidInput(f"{currency[:10]!r} is not a currency code such as EUR.")
    step = amount_typed(form["step"], currency, "The step") if form["step"] else 1
    end = amount_typed(form["end"], currency, "What prices end in") if form["end"] else 0
    markup: Decimal = decimal_typed(form["markup"], "The markup")
    rule = PriceRule(currency, markup, step, end, form["rounding"] or "nearest")
    kind, _, where = form["place"].partition(":")
    return PriceListInput(
        form["name"], rule, id_typed(where) if kind == "connection" else None, where if kind == "channel" else None,
        form["paused"] != "1",
    )  # fmt: skip


async def one(visit: Visit) -> Response:
    """One price list: its rule, prices set by hand, and what it makes of some SKUs."""
    return await _one(visit)


async def _one(visit: Visit, error: str = "", typed: Typed | None = None, asks: Asks | None = None) -> Response:
    cursor, text = visit.parameter("cursor"), visit.parameter("try")
    async with visit.transaction() as tx:
        row = await price_lists.get_price_list(tx, visit.id_of("id"))
        prices = await price_lists.explicit_prices(tx, row.id, cursor, PAGE_SIZE)
        hits = await catalog.find_variants(tx, text, TRIED_MAX)
        found = await price_lists.list_prices(tx, row.id, [hit.variant_id for hit in hits])
        channels = await sync.connection_names(tx)
        counts = await own_prices.count_own(tx)
        meant = await connections_meant(tx, [row.connection_id], [row.channel])
    here = [each for each in counts if each.connection_id in meant]
    return await visit.page(
        "price_list.html", status=422 if error else 200, own=here, asks=asks, tab="prices",
        row=row, prices=prices, cursor=cursor, hits=hits,
        found=found, tried=text, channels=channels, error=error, typed=typed or Typed(), roundings=ROUNDINGS,
        kinds=_kinds(visit), parameters={"try": text},
    )  # fmt: skip


def _changing(verb: str) -> Handler:
    async def do(visit: Visit) -> Response:
        id, form = visit.id_of("id"), Typed(await visit.form())
        asks = Asks(f"/products/prices/{id}/{verb}", form)

        async def work(tx: Tx) -> Done:
            before = await price_lists.get_price_list(tx, id)
            here, said = f"/products/prices/{id}", "Saved."
            with asks.listening():
                if verb == "change":
                    await price_moves.change(tx, visit.actor, id, _given(visit, form), asks.confirmed)
                elif verb == "set":
                    await _set(tx, visit, id, before.rule.currency, form, asks.confirmed)
                else:
                    await price_moves.delete(tx, visit.actor, id, asks.confirmed)
                    here, said = "/products/prices", "Deleted."
            shown = {"name": before.name, "explicit": before.explicit}
            await identity.record(tx, visit.actor, f"price-list.{verb}", "price_list", id, shown, _shown(form))
            return here, said

        return await attempt(visit, work, lambda error: _one(visit, error, form, asks))

    return do


async def _set(tx: Tx, visit: Visit, id: UUID, currency: str, form: Typed, confirmed: int) -> None:
    sku = form["sku"]
    variant_id = (await known_variants(tx, [sku]))[sku]
    price: tuple[int, int | None] | None = None
    if form["do"] != "take off":
        was = form["compare_at"]
        price = (
            amount_typed(form["price"], currency, "The price"),
            amount_typed(was, currency, "The compare-at price") if was else None,
        )
    await price_moves.set_prices(tx, visit.actor, id, {variant_id: price}, confirmed)


async def own(visit: Visit) -> Response:
    """Prices that listings have of their own, and who changed them when."""
    return await _own(visit)


async def _own(visit: Visit, error: str = "") -> Response:
    connection, product, cursor = visit.parameter("connection"), visit.parameter("product"), visit.parameter("cursor")
    of_product = id_typed(product) if product else None
    async with visit.transaction() as tx:
        counts = await own_prices.count_own(tx, of_product)
        rows = await own_prices.list_own(
            tx, id_typed(connection) if connection else None, of_product, cursor, PAGE_SIZE
        )
    parameters = {"connection": connection, "product": product}
    return await visit.page(
        "price_own.html", status=422 if error else 200, tab="prices", rows=rows, counts=counts, cursor=cursor,
        error=error, parameters=parameters, until=utc_now().isoformat(),
        total=sum(each.count for each in counts if connection in ("", str(each.connection_id))),
    )  # fmt: skip


async def take_off(visit: Visit) -> Response:
    """Take off the prices that were ticked, or all that the connection had when the page was shown."""
    form = Typed(await visit.form())
    ticked = [str(value) for value in (await visit.files()).getlist("price")]

    async def work(tx: Tx) -> Done:
        if form["do"] == "all":
            count = await own_prices.take_off_all(tx, visit.actor, parse_id(form["connection"]), _time(form["until"]))
        else:
            if not ticked:
                raise InvalidInput("Choose prices first: tick them.")
            keys = [(parse_id(id), field) for id, _, field in (each.partition(":") for each in ticked)]
            count = await own_prices.take_off(tx, visit.actor, keys)
        back = query("/products/prices/own", connection=form["connection"], product=form["product"])
        return back, f"{count:,} {'price' if count == 1 else 'prices'} taken off."

    return await attempt(visit, work, lambda error: _own(visit, error))


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise InvalidInput("Look at the prices again, then take them off.")
    return found


async def enter_rate(visit: Visit) -> Response:
    """Enter one exchange rate, or a file of them."""
    form = Typed(await visit.form())
    upload = (await visit.files()).get("file")

    async def work(tx: Tx) -> Done:
        if isinstance(upload, UploadFile) and upload.filename:
            rates = exchange_rates.read_rates(await _text(upload), form["source"])
        else:
            rates = [_rate(form)]
        count = await exchange_rates.save_rates(tx, rates, visit.actor.name)
        told = {"rates": count, "first": [str(rate) for rate in rates[:20]]}
        await identity.record(tx, visit.actor, "exchange-rate.save", "exchange_rate", "", None, told)
        return "/products/prices", f"{count:,} {'rate' if count == 1 else 'rates'} saved."

    return await attempt(visit, work, lambda error: _listing(visit, error, form))


def _rate(form: Typed) -> Rate:
    try:
        day = date.fromisoformat(form["day"])
    except ValueError:
        raise InvalidInput(f"{form['day'][:40]!r} is not a day such as 2026-11-20.") from None
    value = decimal_typed(form["rate"], "The rate")
    return Rate(form["base"].upper(), form["quote"].upper(), value, day, form["source"])


async def _text(upload: UploadFile) -> str:
    data = await upload.read(FILE_MAX + 1)
    if len(data) > FILE_MAX:
        raise InvalidInput("The file is larger than 1 MB.")
    try:
        return data.decode("utf-8-sig").replace("\x00", "")
    except UnicodeDecodeError:
        raise InvalidInput("The file is not text in UTF-8. Save it as CSV UTF-8.") from None

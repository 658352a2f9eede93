"""Price lists, prices set by hand, exchange rates."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID

from starlette.datastructures import UploadFile
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.catalog import exchange_rates, price_lists
from entrepot.catalog import reading as catalog
from entrepot.catalog.price_lists import PriceListInput
from entrepot.catalog.pricing import ROUNDINGS, PriceRule, Rate
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Scope
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import InvalidInput
from entrepot.sync import reading as sync
from entrepot.web.product_forms import decimal_typed, id_typed
from entrepot.web.services import PageServices
from entrepot.web.stock_forms import Done, Typed, amount_typed, attempt, known_variants
from entrepot.web.visit import Handler, Visit, page

PAGE_SIZE = 50
TRIED_MAX = 20
FILE_MAX = 1_000_000


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes; they come before those of one product."""
    read, write = Scope.PRODUCTS_READ, Scope.PRODUCTS_WRITE
    return [
        Route("/products/prices", page(services, listing, read), methods=["GET"]),
        Route("/products/prices", page(services, create, write), methods=["POST"]),
        Route("/products/prices/rates", page(services, enter_rate, write), methods=["POST"]),
        Route("/products/prices/{id}", page(services, one, read), methods=["GET"]),
        *(
            Route(f"/products/prices/{{id}}/{verb}", page(services, _changing(verb), write), methods=["POST"])
            for verb in ("change", "set", "delete")
        ),
    ]


async def listing(visit: Visit) -> Response:
    """Price lists and exchange rates."""
    return await _listing(visit)


async def _listing(visit: Visit, error: str = "", typed: Typed | None = None) -> Response:
    async with visit.transaction() as tx:
        rows = await price_lists.list_price_lists(tx)
        rates = await exchange_rates.list_rates(tx, 50)
        channels = await sync.connection_names(tx)
    return await visit.page(
        "price_lists.html", status=422 if error else 200, tab="prices", rows=rows, rates=rates, channels=channels,
        error=error, typed=typed or Typed(), roundings=ROUNDINGS, today=utc_now().date(), kinds=_kinds(visit),
    )  # fmt: skip


def _kinds(visit: Visit) -> list[tuple[str, str]]:
    return [(manifest.key, manifest.title) for manifest in visit.services.manifests()]


async def create(visit: Visit) -> Response:
    """Make a price list."""
    form = Typed(await visit.form())

    async def work(tx: Tx) -> Done:
        id = await price_lists.create_price_list(tx, _given(visit, form))
        await identity.record(tx, visit.actor, "price-list.create", "price_list", id, None, _shown(form))
        return f"/products/prices/{id}", "Made."

    return await attempt(visit, work, lambda error: _listing(visit, error, form))


def _shown(form: Typed) -> dict[str, str]:
    return {name: value for name, value in form.items() if name != "csrf_token"}


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


async def _one(visit: Visit, error: str = "", typed: Typed | None = None) -> Response:
    cursor, text = visit.parameter("cursor"), visit.parameter("try")
    async with visit.transaction() as tx:
        row = await price_lists.get_price_list(tx, visit.id_of("id"))
        prices = await price_lists.explicit_prices(tx, row.id, cursor, PAGE_SIZE)
        hits = await catalog.find_variants(tx, text, TRIED_MAX)
        found = await price_lists.list_prices(tx, row.id, [hit.variant_id for hit in hits])
        channels = await sync.connection_names(tx)
    return await visit.page(
        "price_list.html", status=422 if error else 200, tab="prices", row=row, prices=prices, cursor=cursor, hits=hits,
        found=found, tried=text, channels=channels, error=error, typed=typed or Typed(), roundings=ROUNDINGS,
        kinds=_kinds(visit), parameters={"try": text},
    )  # fmt: skip


def _changing(verb: str) -> Handler:
    async def do(visit: Visit) -> Response:
        id, form = visit.id_of("id"), Typed(await visit.form())

        async def work(tx: Tx) -> Done:
            before = await price_lists.get_price_list(tx, id)
            here, said = f"/products/prices/{id}", "Saved."
            if verb == "change":
                await price_lists.change_price_list(tx, id, _given(visit, form))
            elif verb == "set":
                await _set(tx, id, before.rule.currency, form)
            else:
                await price_lists.delete_price_list(tx, id)
                here, said = "/products/prices", "Deleted."
            shown = {"name": before.name, "explicit": before.explicit}
            await identity.record(tx, visit.actor, f"price-list.{verb}", "price_list", id, shown, _shown(form))
            return here, said

        return await attempt(visit, work, lambda error: _one(visit, error, form))

    return do


async def _set(tx: Tx, id: UUID, currency: str, form: Typed) -> None:
    sku = form["sku"]
    variant_id = (await known_variants(tx, [sku]))[sku]
    price: tuple[int, int | None] | None = None
    if form["do"] != "take off":
        was = form["compare_at"]
        price = (
            amount_typed(form["price"], currency, "The price"),
            amount_typed(was, currency, "The compare-at price") if was else None,
        )
    await price_lists.set_prices(tx, id, {variant_id: price})


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

"""The catalog at a million variants: the list with its filters, and the search. One function per figure.

A person's requests are drawn from a fixed mix: pages in each order, one or two filters, words that are common or rare,
starts of SKUs, barcodes, words that nothing has. Each is asked on its own connection's transaction as a page asks it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from uuid import UUID

from benchmarks.hub import Bench
from benchmarks.report import Figure, Figures, Line, percentile
from entrepot.catalog import search
from entrepot.catalog.filters import filter_of

KEYS = ("list_p95_ms", "search_p95_ms")
PRODUCTS = 400_000
VARIANTS_EACH = (1, 2, 3, 4)
"""By turns, so 2.5 on average: a million variants."""

ID = "('00000000-0000-7000-{}-' || lpad(to_hex(n), 12, '0'))::uuid"
CATEGORIES = f"""
insert into category (organisation_id, id, parent_id, name)
select $1, {ID.format("8001")}, case when n > 20 then ('00000000-0000-7000-8001-' || lpad(to_hex(1 + n % 20), 12, '0'))::uuid end,
       'Category ' || n from generate_series(1, 400) n order by n
"""
# Words of a made-up language, common ones more often than rare ones, as in real titles.
PRODUCTS_SQL = f"""
insert into product (organisation_id, id, handle, title, vendor, product_type, tags, status, images, category_id, updated_at)
select $1, {ID.format("8002")}, 'product-' || n,
       initcap(w.a || ' ' || w.b || ' ' || w.c || ' ' || w.d), 'Vendor ' || (n * 7919 % 500), 'Type ' || (n * 104729 % 120),
       array['tag-' || n * 31 % 1000, case when n % 3 = 0 then 'sale' else 'season-' || n % 4 end],
       case when n % 50 = 0 then 'archived' when n % 17 = 0 then 'draft' else 'active' end,
       case when n % 40 = 0 then '[]'::jsonb else '[{{"url": "https://img.test/x.png", "alt": ""}}]'::jsonb end,
       ('00000000-0000-7000-8001-' || lpad(to_hex(1 + n * 13 % 400), 12, '0'))::uuid, now() - n * interval '1 second'
from generate_series($2::bigint, $3::bigint) n
cross join lateral (select
    'adj' || floor(power(abs(hashint8(n)::bigint) / 2147483648.0, 3) * 400)::int as a,
    'noun' || floor(power(abs(hashint8(n + 1000003)::bigint) / 2147483648.0, 3) * 3000)::int as b,
    'color' || abs(hashint8(n + 2000003)::bigint) % 40 as c, 'model' || n as d) w
"""
VARIANTS_SQL = f"""
insert into variant (organisation_id, id, product_id, sku, barcode, title, option_values, price_minor, currency, position)
select $1, ('00000000-0000-7000-8003-' || lpad(to_hex(n * 4 + v), 12, '0'))::uuid, {ID.format("8002")},
       'SKU-' || lpad(n::text, 6, '0') || '-' || v, '40' || lpad((n * 4 + v)::text, 11, '0'), 'Size ' || v,
       array['Size ' || v], 100 + (n * 7 + v) % 50000, 'EUR', v
from generate_series($2::bigint, $3::bigint) n cross join generate_series(1, 4) v where v <= (array[1, 2, 3, 4])[1 + n % 4]
"""
COLLECTION = """
insert into collection_product (organisation_id, collection_id, product_id)
select $1, $2, id from product where organisation_id = $1 and right(handle, 2) = '01'
"""
LISTINGS = """
insert into listing (organisation_id, id, connection_id, variant_id, external_id, sku, seen_at)
select $1, v.id, $2, v.id, v.sku, v.sku, now() from variant v where v.organisation_id = $1 and v.position = 1
"""
CHUNK = 50_000
COLLECTION_ID = UUID(int=0x70008004 << 48)


async def measure(hub: Bench) -> tuple[Figures, list[Line]]:
    """Measure all figures of the catalog."""
    connection_id = await fill(hub)
    figures: dict[str, Figure] = {}
    lines: list[Line] = []
    for name, asked in (("list", list_requests(connection_id)), ("search", search_requests())):
        hub.say(f"Catalog: {name}")
        found, told = await _p95(hub, name, asked)
        figures |= found
        lines += told
    return figures, lines


async def fill(hub: Bench, products: int = PRODUCTS) -> UUID:
    """Make the catalog; return the connection that lists the first variant of each product."""
    hub.say(f"Catalog: {products:,} products")
    connection_id = UUID(int=0x70008005 << 48)
    async with hub.database.transaction(hub.organisation) as tx:
        await tx.execute(CATEGORIES, tx.organisation)
    for start in range(1, products + 1, CHUNK):
        async with hub.database.transaction(hub.organisation) as tx:
            for sql in (PRODUCTS_SQL, VARIANTS_SQL):
                await tx.connection.execute(sql, tx.organisation, start, min(products, start + CHUNK - 1), timeout=600)
    async with hub.database.transaction(hub.organisation) as tx:
        await tx.execute(
            "insert into collection (organisation_id, id, handle, title) values ($1, $2, 'picked', 'Picked')",
            tx.organisation,
            COLLECTION_ID,
        )
        await tx.connection.execute(COLLECTION, tx.organisation, COLLECTION_ID, timeout=600)
        await tx.execute(
            "insert into connection (organisation_id, id, channel, name, environment)"
            " values ($1, $2, 'shopify', 'Bench', 'live')",
            tx.organisation,
            connection_id,
        )
        await tx.connection.execute(LISTINGS, tx.organisation, connection_id, timeout=600)
    with hub.admin() as connection:
        connection.execute("vacuum analyze")
    return connection_id


def list_requests(connection_id: UUID, seed: int = 1) -> Iterator[Mapping[str, str]]:
    """Yield filters of the list without end."""
    chance = random.Random(seed)  # noqa: S311
    while True:
        category = UUID(int=(0x70008001 << 48) + chance.randint(1, 400))
        some: list[Mapping[str, str]] = [
            {},
            {"status": chance.choice(("active", "draft", "archived"))},
            {"vendor": f"Vendor {chance.randrange(500)}"},
            {"type": f"Type {chance.randrange(120)}"},
            {"tag": chance.choice(("sale", f"tag-{chance.randrange(1000)}"))},
            {"category": str(category)},
            {"collection": str(COLLECTION_ID)},
            {"channel": str(connection_id), "listed": "yes"},
            {"image": "no"},
            {"price_min": str(chance.randrange(400)), "price_max": str(chance.randrange(400, 500))},
            {"price_min": "20.00", "price_max": "20.10"},
        ]
        sort = chance.choice(("title", "title", "-title", "updated", "created"))
        yield {**chance.choice(some), **(chance.choice(some) if chance.random() < 0.4 else {}), "sort": sort}


def search_requests(seed: int = 2) -> Iterator[Mapping[str, str]]:
    """Yield searches without end."""
    chance = random.Random(seed)  # noqa: S311
    while True:
        noun, adj = f"noun{int(chance.random() ** 3 * 3000)}", f"adj{int(chance.random() ** 3 * 400)}"
        text = chance.choice(
            (
                noun, adj, f"{adj} {noun}", f"{adj} color{chance.randrange(40)}", "adj", "noun1", "color",
                f"model{chance.randint(1, PRODUCTS)}", f"SKU-{chance.randint(1, PRODUCTS):06d}", "sku-0012",
                f"40{chance.randint(4, PRODUCTS):011d}", "nothinghasthis", f"vendor {chance.randrange(500)}",
            )
        )  # fmt: skip
        yield {"q": text, **({"status": "active"} if chance.random() < 0.3 else {})}


async def _p95(hub: Bench, name: str, asked: Iterator[Mapping[str, str]]) -> tuple[Figures, list[Line]]:
    """Ask for pages for a while; return the time that 95 of 100 do not exceed."""
    took: list[tuple[float, Mapping[str, str]]] = []
    until = time.perf_counter() + max(1.0, hub.seconds)
    while time.perf_counter() < until or len(took) < 100:
        parameters = next(asked)
        began = time.perf_counter()
        async with hub.database.transaction(hub.organisation) as tx:
            await search.list_products(tx, filter_of(parameters, "EUR"))
        took.append(((time.perf_counter() - began) * 1000, parameters))
    times = [each for each, _ in took]
    slowest = ", ".join(f"{key}={value}" for key, value in max(took, key=lambda each: each[0])[1].items())
    figure = percentile(times, 0.95)
    beside = f"p50 {percentile(times, 0.5):.1f} ms, slowest {max(times):.0f} ms ({slowest}); {len(times)} requests"
    return {f"{name}_p95_ms": figure}, [Line(f"Products, {name}, 1,000,000 variants, p95", f"{figure:.1f} ms", beside)]

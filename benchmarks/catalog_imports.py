"""The catalog, one function a figure. `import_rows_s`: rows of a product file a second, from the file to the last change.

100,000 rows as Shopify writes them: products of three variants, each with a further image. Told besides: the same file
looked at, sent again, and how much memory the process held at most.
"""

from __future__ import annotations

import random
import resource
import sys
import time
from collections.abc import Iterator

from benchmarks.hub import Bench
from benchmarks.report import Figure, Figures, Line
from entrepot.identity import facade as identity
from entrepot.sync import importing

ROWS = 100_000
HEADS = (
    "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,Variant Grams,"
    "Variant Inventory Qty,Variant Price,Variant Compare At Price,Variant Barcode,Image Src,Image Position,Image Alt Text,"
    "SEO Title,SEO Description,Status,Cost per item\r\n"
)
KEYS = ("import_rows_s",)
"""What this benchmark promises."""


def rows(count: int) -> Iterator[str]:
    """Yield the lines of a product file with so many rows."""
    rng = random.Random(1)  # noqa: S311
    for number in range(count):
        product, place = divmod(number, 4)
        own = (
            f'Product number {product},"<p>A fine thing, number {product}</p>",Maker {product % 50},Type {product % 20},'
            f'"new, line {product % 7}",TRUE,Size'
            if place == 0
            else ",,,,,,"
        )
        seo = f"Product {product},All about product {product},active" if place == 0 else ",,"
        variant = (
            f"{'SML'[place]},SKU-{number:07d},{rng.randint(50, 5000)},{rng.randint(0, 40)},{rng.randint(1, 90)}.50,"
            f"{rng.randint(91, 200)}.00,{4_000_000_000_000 + number}"
            if place < 3
            else ",,,,,,"
        )
        cost = f"{rng.randint(1, 40)}.25" if place < 3 else ""
        image = f"https://images.test/{product}-{place}.jpg,{place + 1},View {place + 1}"
        yield f"product-{product:06d},{own},{variant},{image},{seo},{cost}\r\n"


async def measure(hub: Bench) -> tuple[Figures, list[Line]]:
    """Measure all of it."""
    figures: dict[str, Figure] = {}
    lines: list[Line] = []
    for each in (imports,):
        found, told = await each(hub)
        figures |= found
        lines += told
    return figures, lines


async def imports(hub: Bench) -> tuple[Figures, list[Line]]:
    """Measure a file looked at, imported (read, compared, written), and imported again."""
    actor = identity.system_actor(hub.organisation)
    data = (HEADS + "".join(rows(ROWS))).encode()
    options = importing.ImportOptions("EUR")
    found: dict[str, float] = {}
    for name, apply in (("looked at", False), ("imported", True), ("imported again", True)):
        hub.say(f"{ROWS:,} rows {name}")
        began = time.perf_counter()
        done = await importing.take_in(hub.database, actor, data, options, name=f"{name}.csv", apply=apply, here=True)
        found[name] = ROWS / (time.perf_counter() - began)
        if done.counts.rows != ROWS or done.counts.problems or (name == "imported again" and done.counts.changed):
            raise RuntimeError(f"the file was not imported as it should: {done.counts}")
    unit = 1 if sys.platform == "darwin" else 1024
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    lines = [
        Line("Rows/s, 100,000 rows imported", f"{found['imported']:,.0f}/s", f"memory at most {peak_mb:,.0f} MB"),
        Line("Rows/s, looked at only", f"{found['looked at']:,.0f}/s"),
        Line("Rows/s, the same file again", f"{found['imported again']:,.0f}/s", "nothing changed"),
    ]
    return {"import_rows_s": found["imported"], "import_peak_mb": peak_mb}, lines

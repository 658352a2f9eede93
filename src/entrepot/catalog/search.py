"""Find products: which statement is quick depends on what is asked for, so the rarest condition is looked for first.

Conditions that an index finds (words, tags, collections, categories, prices, listings) are counted, up to a limit. Where
one of them, or all together, leave few products, those are read and sorted. Else the list is read along its index until
a page is full, and what a condition finds is hashed beforehand, so that passing by a product costs next to nothing: words
go together with the order of titles, and there may be many to pass by. Only what most products meet is looked up one by
one. Words are rows of `product_term`, compared by their bytes: under row security no other index may be used (decision 0023).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.catalog.filters import ProductFilter
from entrepot.catalog.reading import LAST, PRODUCT_ROW, PRODUCT_VARIANTS, ProductRow, product_row
from entrepot.database.pool import Tx
from entrepot.kernel.paging import Counted, Slice, bounded, counted, decode_cursor, slice_of

FEW = 5_000
"""So many products are read and sorted at once; of more the list is read in its order."""
MANY = 100_000
"""So many products that meet a condition are hashed; of more each product is looked up."""
WORDS_MAX = 8

_ORDERS: dict[str, tuple[str, str, tuple[type, ...]]] = {
    "title": ("p.title, p.id", "(p.title, p.id) > ({0}, {1})", (str, UUID)),
    "-title": ("p.title desc, p.id desc", "(p.title, p.id) < ({0}, {1})", (str, UUID)),
    "updated": ("p.updated_at desc, p.id desc", "(p.updated_at, p.id) < ({0}, {1})", (datetime, UUID)),
    # Ids grow with time.
    "created": ("p.id desc", "p.id < {0}", (UUID,)),
}


@dataclass(slots=True)
class _Condition:
    """A condition that an index finds. `source`: selects its products; `each`: whether product p meets it."""

    source: str
    each: str
    is_word: bool = False
    most: int = FEW
    """How far it is worth counting: MANY for what is hashed cheaply."""

    @property
    def hashed(self) -> str:
        """Return the condition such that its products are found once. (The `or` keeps it from becoming a join.)"""
        return f"(p.id in ({self.source}) or false)"


@dataclass(slots=True)
class _Question:
    """A filter as SQL. `where`: what each product must meet besides the conditions."""

    organisation: UUID
    args: list[Any] = field(default_factory=list)
    where: list[str] = field(default_factory=list)
    conditions: list[_Condition] = field(default_factory=list)
    by_code: list[UUID] = field(default_factory=list)
    """Products found by a SKU or barcode: they need not have the words."""

    def __post_init__(self) -> None:
        self.args.append(self.organisation)
        self.where.append("p.organisation_id = $1")

    def give(self, value: Any) -> str:
        """Return the placeholder of a value."""
        self.args.append(value)
        return f"${len(self.args)}"

    def statement(self, sql: str) -> tuple[Any, ...]:
        """Return a statement with those of the values that it names, numbered anew."""
        named = sorted({int(number) for number in re.findall(r"\$(\d+)", sql)})
        places = {number: place for place, number in enumerate(named, start=1)}
        text = re.sub(r"\$(\d+)", lambda found: f"${places[int(found[1])]}", sql)
        return text, *(self.args[number - 1] for number in named)

    def add(self, source: str, each: str, most: int = FEW) -> None:
        """Add a condition."""
        self.conditions.append(_Condition(source, each, most=most))

    def settle(self, written: Sequence[tuple[_Condition, str]]) -> None:
        """Take the conditions over into `where`, each as it is to be written."""
        words = [text for condition, text in written if condition.is_word]
        self.where += [text for condition, text in written if not condition.is_word]
        if words:
            also = f" or p.id = any({self.give(self.by_code)}::uuid[])" if self.by_code else ""
            self.where.append(f"({' and '.join(words)}{also})")


async def list_products(tx: Tx, chosen: ProductFilter, cursor: str | None = None, limit: int = 50) -> Slice[ProductRow]:
    """Return products in the filter's order. Raises InvalidCursor."""
    limit = bounded(limit)
    order, after, types = _ORDERS[chosen.sort]
    key = decode_cursor(cursor, *types)
    question = await _question(tx, chosen)
    await _narrow(tx, question)
    if key:
        question.where.append(after.format(*(question.give(value) for value in key)))
    most = question.give(limit + 1)
    rows = await tx.fetch(
        *question.statement(
            f"""with page as materialized (
                    select p.id from product p where {" and ".join(question.where)} order by {order} limit {most})
                select {PRODUCT_ROW} from page join product p on p.organisation_id = $1 and p.id = page.id
                {PRODUCT_VARIANTS} order by {order}"""
        )
    )
    items = [product_row(row) for row in rows]
    last = items[limit - 1] if len(items) > limit else None
    return slice_of(items, limit, _key_of(chosen.sort, last) if last else None)


async def matching_ids(tx: Tx, chosen: ProductFilter, after: UUID | None, until: UUID, limit: int) -> list[UUID]:
    """Return the next products of a filter in the order in which they were made, from after `after` to before `until`."""
    question = await _question(tx, chosen)
    await _narrow(tx, question)
    question.where.append(f"p.id < {question.give(until)}")
    if after is not None:
        question.where.append(f"p.id > {question.give(after)}")
    most = question.give(limit)
    rows = await tx.fetch(
        *question.statement(
            f"select p.id from product p where {' and '.join(question.where)} order by p.id limit {most}"
        )
    )
    return [row["id"] for row in rows]


async def count_matching(tx: Tx, chosen: ProductFilter, limit: int) -> Counted:
    """Return how many products a filter means, counting no further than `limit`."""
    question = await _question(tx, chosen)
    await _narrow(tx, question)
    where, most = " and ".join(question.where), question.give(limit + 1)
    found: int = await tx.fetch_value(
        *question.statement(f"select count(*) from (select 1 from product p where {where} limit {most}) s")
    )
    return counted(found, limit)


def _key_of(sort: str, row: ProductRow) -> tuple[str | datetime | UUID, ...]:
    if sort == "created":
        return (row.id,)
    return (row.updated_at if sort == "updated" else row.title, row.id)


async def _question(tx: Tx, chosen: ProductFilter) -> _Question:
    # The statement is made for its values, so a plan for any values would be wrong: some match nothing, some everything.
    await tx.execute("set local plan_cache_mode = force_custom_plan")
    asked = _Question(tx.organisation)
    for column, value in (("status", chosen.status), ("product_type", chosen.product_type), ("vendor", chosen.vendor)):
        if value is not None:
            asked.where.append(f"p.{column} = {asked.give(value)}")
    if chosen.has_image is not None:
        asked.where.append(f"{'not ' if chosen.has_image else ''}p.images = '[]'")
    if chosen.search:
        await _words(tx, asked, chosen.search)
    if chosen.tag:
        asked.conditions.append(_term("tag", f"t.term = {asked.give(chosen.tag)}"))
    if chosen.collection_id:
        _collection(asked, chosen.collection_id)
    if chosen.category_id:
        await _category(tx, asked, chosen.category_id)
    if chosen.price_min_minor is not None or chosen.price_max_minor is not None:
        _prices(asked, chosen)
    if chosen.listed is not None:
        _listed(asked, chosen)
    return asked


async def _words(tx: Tx, asked: _Question, text: str) -> None:
    """Add a condition per word of the text, and what its SKU or barcode finds."""
    asked.by_code = await products_by_code(tx, text)
    found = await tx.fetch("select w from words_of($1) w order by length(w) desc limit $2", text, WORDS_MAX)
    words = [row["w"] for row in found]
    if not words:
        asked.where.append(f"p.id = any({asked.give(asked.by_code)}::uuid[])")
        return
    for word in words:
        compared = f"t.term >= {asked.give(word)} and t.term < {asked.give(word + LAST)}"
        condition = _term("word", compared)
        condition.is_word = True
        asked.conditions.append(condition)


def _term(kind: str, compared: str) -> _Condition:
    source = (
        f"select t.product_id from product_term t where t.organisation_id = $1 and t.kind = '{kind}' and {compared}"
    )
    each = (
        "exists (select 1 from product_term t where t.organisation_id = $1 and t.product_id = p.id"
        f" and t.kind = '{kind}' and {compared})"
    )
    return _Condition(source, each, most=MANY)


def _collection(asked: _Question, collection_id: UUID) -> None:
    id = asked.give(collection_id)
    source = f"select c.product_id from collection_product c where c.organisation_id = $1 and c.collection_id = {id}"
    asked.add(source, f"exists ({source} and c.product_id = p.id)", MANY)


async def _category(tx: Tx, asked: _Question, category_id: UUID) -> None:
    rows = await tx.fetch(
        """with recursive below as (
               select $2::uuid as id
               union select c.id from category c join below b on c.organisation_id = $1 and c.parent_id = b.id)
           select id from below""",
        tx.organisation,
        category_id,
    )
    ids = asked.give([row["id"] for row in rows])
    asked.add(
        f"select c.id as product_id from product c where c.organisation_id = $1 and c.category_id = any({ids}::uuid[])",
        f"p.category_id = any({ids}::uuid[])",
    )


def _prices(asked: _Question, chosen: ProductFilter) -> None:
    source = f"select v.product_id from variant v where v.organisation_id = $1 and v.currency = {asked.give(chosen.currency)}"
    if chosen.price_min_minor is not None:
        source += f" and v.price_minor >= {asked.give(chosen.price_min_minor)}"
    if chosen.price_max_minor is not None:
        source += f" and v.price_minor <= {asked.give(chosen.price_max_minor)}"
    asked.add(source, f"exists ({source} and v.product_id = p.id and v.state = 'active')")


def _listed(asked: _Question, chosen: ProductFilter) -> None:
    there = "" if chosen.connection_id is None else f" and l.connection_id = {asked.give(chosen.connection_id)}"
    source = (
        "select v.product_id from listing l join variant v on v.organisation_id = l.organisation_id"
        f" and v.id = l.variant_id where l.organisation_id = $1 and l.active{there}"
    )
    condition = (
        "exists (select 1 from variant v join listing l on l.organisation_id = v.organisation_id"
        f" and l.variant_id = v.id where v.organisation_id = $1 and v.product_id = p.id and l.active{there})"
    )
    if chosen.listed:
        asked.add(source, condition)
    else:
        asked.where.append(f"not {condition}")


async def _narrow(tx: Tx, asked: _Question) -> None:
    """Write the conditions as suits how many products meet them; where few meet all, name those."""
    if not asked.conditions:
        return
    columns = (f"(select count(*) from ({c.source} limit {c.most + 1}) s)" for c in asked.conditions)
    counts = await tx.fetch_row(*asked.statement("select " + ", ".join(columns)))
    assert counts is not None
    ordered = sorted(zip(list(counts), asked.conditions, strict=True), key=lambda each: each[0])
    found = ordered[0][1].source
    # Few may meet several conditions that many meet each. What nearly all meet leaves nothing out worth the reading.
    others = [c.source for count, c in ordered[1:] if count <= c.most]
    if ordered[0][0] <= FEW or others:
        if ordered[0][0] > FEW:
            also = " and ".join(f"product_id in ({source})" for source in others)
            found = f"select product_id from ({found}) s where {also}"
        rows = await tx.fetch(*asked.statement(f"select distinct product_id from ({found} limit {FEW + 1}) s"))
        if len(rows) <= FEW:
            ids = {row["product_id"] for row in rows} | set(asked.by_code)
            asked.settle([(condition, condition.each) for _, condition in ordered])
            asked.where.append(f"p.id = any({asked.give(list(ids))}::uuid[])")
            return
    asked.settle([(c, c.hashed if count <= c.most and c.most == MANY else c.each) for count, c in ordered])


async def products_by_code(tx: Tx, text: str) -> list[UUID]:
    """Return up to 500 products that have a SKU that starts with the text (as it is, in capitals or small), or this barcode."""
    starts = sorted({text, text.upper(), text.lower()})
    rows = await tx.fetch(
        """select v.product_id from unnest($2::text[]) as s cross join lateral (
               select product_id from variant
               where organisation_id = $1 and sku ~>=~ s and sku ~<~ (s || $3) order by sku using ~<~ limit 500) v
           union select product_id from variant where organisation_id = $1 and barcode <> '' and barcode = $4
           limit 500""",
        tx.organisation,
        starts,
        LAST,
        text,
    )
    return [row["product_id"] for row in rows]


@dataclass(frozen=True, slots=True)
class Facets:
    """What the filters offer: values that occur, up to a limit each."""

    vendors: tuple[str, ...]
    types: tuple[str, ...]
    tags: tuple[str, ...]


async def facets(tx: Tx, limit: int = 200) -> Facets:
    """Return the vendors, types and tags that occur. Each is looked up after the one before, along an index."""
    return Facets(
        await _distinct(tx, "product", "vendor", "", limit),
        await _distinct(tx, "product", "product_type", "", limit),
        await _distinct(tx, "product_term", "term", "and kind = 'tag'", limit),
    )


async def _distinct(tx: Tx, table: str, column: str, also: str, limit: int) -> tuple[str, ...]:
    rows = await tx.fetch(
        f"""with recursive each(value) as (
                (select {column} from {table} where organisation_id = $1 {also} and {column} > ''
                 order by {column} limit 1)
                union all
                select (select n.{column} from {table} n where n.organisation_id = $1 {also} and n.{column} > e.value
                        order by n.{column} limit 1)
                from each e where e.value is not null)
            select value from each where value is not null limit $2""",
        tx.organisation,
        limit,
    )
    return tuple(row["value"] for row in rows)

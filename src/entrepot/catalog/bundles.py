"""Bundles: a variant made of others. It has no stock of its own; what there is of it follows its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from entrepot.catalog.contracts import VariantNotFound
from entrepot.database.pool import Tx
from entrepot.kernel.errors import InvalidInput

PARTS_MAX = 50


class InvalidBundle(InvalidInput):
    """A bundle has up to 50 parts, each a variant of its own that is no bundle, 1 to 10,000 units of each."""


@dataclass(frozen=True, slots=True)
class Part:
    """So many units of a variant in one bundle."""

    variant_id: UUID
    quantity: int


Parts = dict[UUID, tuple[Part, ...]]
"""The parts of each bundle."""


@dataclass(frozen=True, slots=True)
class PartView:
    """A part with its name, for people."""

    variant_id: UUID
    sku: str
    title: str
    quantity: int


async def parts_of(tx: Tx, variant_ids: Sequence[UUID]) -> Parts:
    """Return the parts of those of these variants that are bundles."""
    rows = await tx.fetch(
        "select bundle_id, component_id, quantity from bundle_component"
        " where organisation_id = $1 and bundle_id = any($2::uuid[]) order by bundle_id, component_id",
        tx.organisation,
        list(variant_ids),
    )
    found: Parts = {}
    for bundle_id, component_id, quantity in rows:
        found[bundle_id] = (*found.get(bundle_id, ()), Part(component_id, quantity))
    return found


async def bundles_with(tx: Tx, variant_ids: Sequence[UUID]) -> list[UUID]:
    """Return the bundles that one of these variants is a part of."""
    rows = await tx.fetch(
        "select distinct bundle_id from bundle_component where organisation_id = $1 and component_id = any($2::uuid[])",
        tx.organisation,
        list(variant_ids),
    )
    return [row[0] for row in rows]


async def part_views(tx: Tx, bundle_id: UUID) -> tuple[PartView, ...]:
    """Return the parts of a bundle by SKU; nothing if it is none."""
    rows = await tx.fetch(
        """select v.id as variant_id, v.sku, p.title, b.quantity
           from bundle_component b
           join variant v on v.organisation_id = b.organisation_id and v.id = b.component_id
           join product p on p.organisation_id = v.organisation_id and p.id = v.product_id
           where b.organisation_id = $1 and b.bundle_id = $2 order by v.sku""",
        tx.organisation,
        bundle_id,
    )
    return tuple(PartView(**dict(row)) for row in rows)


async def put_parts(tx: Tx, bundle_id: UUID, parts: Mapping[UUID, int]) -> None:
    """Make a variant the bundle of these parts (variant -> units); with none it is no bundle any more.

    Who calls it has made sure that it has no stock of its own (see stock.set_bundle). The variants are locked, in the
    order of their ids, so that none of them becomes a bundle or a part at the same time; rows that refer to them may be
    written meanwhile.
    Raises InvalidBundle, VariantNotFound.
    """
    if len(parts) > PARTS_MAX or bundle_id in parts or not all(1 <= n <= 10_000 for n in parts.values()):
        raise InvalidBundle
    named = sorted({bundle_id, *parts})
    rows = await tx.fetch(
        "select id from variant where organisation_id = $1 and id = any($2::uuid[]) order by id for no key update",
        tx.organisation,
        named,
    )
    missing = set(named) - {row[0] for row in rows}
    if missing:
        raise VariantNotFound(variant_id=str(missing.pop()))
    if parts and await bundles_with(tx, [bundle_id]):
        raise InvalidBundle("This variant is a part of a bundle, so it cannot be one itself.")
    nested = await parts_of(tx, list(parts))
    if nested:
        raise InvalidBundle("A part cannot be a bundle itself.", variant_id=str(next(iter(nested))))
    await tx.execute(
        "delete from bundle_component where organisation_id = $1 and bundle_id = $2", tx.organisation, bundle_id
    )
    await tx.execute(
        "insert into bundle_component (organisation_id, bundle_id, component_id, quantity)"
        " select $1, $2, i.* from unnest($3::uuid[], $4::bigint[]) as i",
        tx.organisation,
        bundle_id,
        list(parts),
        list(parts.values()),
    )

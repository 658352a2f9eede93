"""The tree of categories. A path is the names from the root down, such as ("Home", "Kitchen")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from entrepot.catalog.contracts import InvalidProduct
from entrepot.database.pool import Tx
from entrepot.kernel.ids import new_id

DEPTH_MAX = 10
_LOCK = "select pg_advisory_xact_lock(hashtextextended($1, 7201004))"

Path = tuple[str, ...]


async def ensure_categories(tx: Tx, paths: Sequence[Path]) -> Mapping[Path, UUID]:
    """Return the category of each path; those that are missing are made, level by level. Raises InvalidProduct."""
    wanted = {path[: depth + 1] for path in paths for depth in range(len(path))}
    if not wanted:
        return {}
    for path in wanted:
        if len(path) > DEPTH_MAX or not all(0 < len(name) <= 200 for name in path):
            raise InvalidProduct(
                f"A category has at most {DEPTH_MAX} levels, each with a name of 1 to 200 characters: {' > '.join(path)!r}."
            )
    # Two that make the same branch: the second finds the first's.
    await tx.execute(_LOCK, f"{tx.organisation}/categories")
    found: dict[Path, UUID] = {}
    for depth in range(1, max(map(len, wanted)) + 1):
        level = sorted(path for path in wanted if len(path) == depth)
        parents = [found.get(path[:-1]) for path in level]
        rows = await _ensure_level(tx, parents, [path[-1] for path in level])
        found |= {path: rows[parent, path[-1]] for path, parent in zip(level, parents, strict=True)}
    return found


async def _ensure_level(tx: Tx, parents: Sequence[UUID | None], names: Sequence[str]) -> dict[tuple[Any, str], UUID]:
    """Make the categories of one level that are missing; return all of them by parent and name."""
    await tx.execute(
        """
        insert into category (organisation_id, id, parent_id, name)
        select $1, w.id, w.parent_id, w.name from unnest($2::uuid[], $3::uuid[], $4::text[]) as w(id, parent_id, name)
        on conflict (organisation_id, parent_id, name) do nothing
        """,
        tx.organisation,
        [new_id() for _ in names],
        parents,
        names,
    )
    rows = await tx.fetch(
        """
        select c.id, c.parent_id, c.name from category c
        join unnest($2::uuid[], $3::text[]) as w(parent_id, name)
          on c.name = w.name and c.parent_id is not distinct from w.parent_id
        where c.organisation_id = $1
        """,
        tx.organisation,
        parents,
        names,
    )
    return {(row["parent_id"], row["name"]): row["id"] for row in rows}


async def ancestors_of(tx: Tx, product_ids: Sequence[UUID]) -> Mapping[UUID, tuple[UUID, ...]]:
    """Return the categories of each of these products, its own first, then its parents up to the root."""
    rows = await tx.fetch(
        """
        with recursive up as (
            select p.id as product_id, c.id, c.parent_id, 0 as height
            from product p join category c on c.organisation_id = p.organisation_id and c.id = p.category_id
            where p.organisation_id = $1 and p.id = any($2::uuid[])
            union all
            select up.product_id, c.id, c.parent_id, up.height + 1
            from up join category c on c.organisation_id = $1 and c.id = up.parent_id
            where up.height < 50
        )
        select product_id, array_agg(id order by height) as ids from up group by product_id
        """,
        tx.organisation,
        product_ids,
    )
    return {row["product_id"]: tuple(row["ids"]) for row in rows}

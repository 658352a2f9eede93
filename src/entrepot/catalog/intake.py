"""Products of a file taken in: what they would change, and changing it. Set-based; the same twice changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from entrepot.catalog import intake_store, store
from entrepot.catalog.categories import ensure_categories
from entrepot.catalog.files.contracts import FileProduct
from entrepot.catalog.intake_rules import Finding, Outcome, ProductState, State, VariantState, candidate_handle, compare
from entrepot.database.pool import Tx
from entrepot.kernel.errors import Conflict


class TakenMeanwhile(Conflict):
    """Somebody made a product or a SKU of the same name at the same moment: do this part again."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a part of a file. `findings` in the order of its products.

    `new_variants`: SKU -> variant of those that were made; `products` those that were made or changed.
    """

    findings: tuple[Finding, ...]
    new_variants: Mapping[str, UUID] = field(default_factory=dict)
    products: tuple[UUID, ...] = ()
    matched_listings: tuple[UUID, ...] = ()


async def find(tx: Tx, products: Sequence[FileProduct], currency: str, *, only_known: bool = False) -> Taken:
    """Return what these products would change; nothing is written. `currency`: of new variants (ISO 4217)."""
    state = await _state(tx, products, lock=False)
    return Taken(tuple(compare(each, state, currency, only_known=only_known) for each in products))


async def take(tx: Tx, products: Sequence[FileProduct], currency: str, *, only_known: bool = False) -> Taken:
    """Make and change what these products tell. What is as they tell is not touched.

    Listings that waited for a new SKU are matched, and `matched_listings` names them. Raises TakenMeanwhile.
    """
    state = await _state(tx, products, lock=False)
    findings = [compare(each, state, currency, only_known=only_known) for each in products]
    # Most of a file is as it was or new: only what is there and is to be changed is locked, and then compared again.
    chosen = [at for at, finding in enumerate(findings) if finding.outcome is not Outcome.UNCHANGED]
    if any(not v.new for at in chosen for v in _known(products[at], state)):
        state = await _state(tx, [products[at] for at in chosen], lock=True)
        for at in chosen:
            findings[at] = compare(products[at], state, currency, only_known=only_known)
    written = [p for p in state.by_id.values() if p.new or p.changed]
    categories = await ensure_categories(tx, sorted({tuple(p.category) for p in written if p.category}))
    for product in written:
        if product.category:
            product.category_id = categories[tuple(product.category)]
    variants = [v for v in state.variants.values() if v.new or v.changed]
    if not await intake_store.write_products(tx, written) or not await intake_store.write_variants(tx, variants):
        raise TakenMeanwhile
    new = {v.sku: v.id for v in variants if v.new}
    matched = await store.match_waiting_listings(tx, list(new)) if new else []
    touched = [f.product_id for f in findings if f.product_id and f.outcome in (Outcome.NEW, Outcome.CHANGED)]
    return Taken(tuple(findings), new, tuple(dict.fromkeys(touched)), tuple(row["id"] for row in matched))


def _known(told: FileProduct, state: State) -> list[ProductState | VariantState]:
    """Return the product and the variants that are found for a product of a file."""
    found: list[ProductState | VariantState] = [state.variants[v.sku] for v in told.variants if v.sku in state.variants]
    if told.handle in state.by_handle:
        found.append(state.by_handle[told.handle])
    return found


async def _state(tx: Tx, products: Sequence[FileProduct], *, lock: bool) -> State:
    handles = sorted({candidate_handle(each) for each in products})
    skus = sorted({variant.sku for each in products for variant in each.variants})
    return await intake_store.read_state(tx, handles, skus, lock=lock)

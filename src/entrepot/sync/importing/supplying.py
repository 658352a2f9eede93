"""A supplier's price list taken in: whose SKU is whose, what the supplier asks now, and what our variants cost then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from entrepot.catalog import facade as catalog
from entrepot.catalog.files.contracts import FileProduct, FileVariant, RowProblem
from entrepot.catalog.intake_rules import Change, Finding, Outcome
from entrepot.database.pool import Tx
from entrepot.kernel.money import to_decimal, to_minor
from entrepot.stock import facade as stock
from entrepot.stock.facade import Offer
from entrepot.sync.importing.contracts import Compared, ImportOptions


async def compare_list(tx: Tx, options: ImportOptions, products: Sequence[FileProduct], *, apply: bool) -> Compared:
    """Say what rows of a price list change, and change it if `apply`."""
    places: dict[UUID, list[int]] = {}
    findings: dict[int, Finding] = {}
    names = {product.variants[0].fields.get("supplier", "") for product in products}
    known = {} if options.supplier_id else await stock.suppliers_named(tx, sorted(names))
    for at, product in enumerate(products):
        name = product.variants[0].fields.get("supplier", "")
        supplier_id = options.supplier_id or known.get(name)
        if supplier_id is None:
            findings[at] = _refused(product, f"There is no supplier called {name[:100]!r}.", "supplier", name,
                                    "Correct the name, or make the supplier first.")  # fmt: skip
        else:
            places.setdefault(supplier_id, []).append(at)
    for supplier_id in sorted(places):
        chosen = places[supplier_id]
        found = await _of_one(tx, supplier_id, options, [products[at] for at in chosen], apply=apply)
        findings |= dict(zip(chosen, found, strict=True))
    return Compared(tuple(findings[at] for at in range(len(products))))


def _refused(product: FileProduct, problem: str, column: str, value: str, remedy: str) -> Finding:
    sku = product.variants[0].sku or product.variants[0].fields.get("supplier_sku", "")
    found = RowProblem(product.row, sku, problem, column, value, remedy)
    return Finding(Outcome.REFUSED, None, "", "", (), (found,))


async def _of_one(
    tx: Tx, supplier_id: UUID, options: ImportOptions, products: Sequence[FileProduct], *, apply: bool
) -> list[Finding]:
    """Compare rows of one supplier."""
    resolved, refused = await resolve(tx, supplier_id, products)
    work = catalog.take if apply else catalog.find
    taken = await work(tx, resolved, options.currency, only_known=True)
    findings = await take_offers(tx, supplier_id, resolved, taken.findings, apply=apply)
    for at, problem in refused.items():
        findings[at] = replace(findings[at], outcome=Outcome.REFUSED, problems=(problem,))
    return findings


async def resolve(
    tx: Tx, supplier_id: UUID, products: Sequence[FileProduct]
) -> tuple[list[FileProduct], Mapping[int, RowProblem]]:
    """Return the products with our SKU where the list has the supplier's only, and what could not be found by place.

    The cost is told to the catalog only where currencies agree and no other supplier is preferred.
    """
    variants = [product.variants[0] for product in products]
    wanted = [v.fields["supplier_sku"] for v in variants if not v.sku]
    by_theirs = await stock.variants_by_supplier_sku(tx, supplier_id, wanted)
    ours = await catalog.skus_of(tx, list(by_theirs.values()))
    skus = [v.sku or ours.get(by_theirs.get(v.fields["supplier_sku"], supplier_id), "") for v in variants]
    facts = await catalog.currencies(tx, [sku for sku in skus if sku])
    currency = await stock.supplier_currency(tx, supplier_id)
    elsewhere = await stock.preferred_elsewhere(tx, supplier_id, [id for id, _ in facts.values()])
    found, refused = [], {}
    for at, (product, variant, sku) in enumerate(zip(products, variants, skus, strict=True)):
        fields = dict(variant.fields)
        if not sku:
            theirs = fields["supplier_sku"]
            refused[at] = RowProblem(
                variant.row, theirs, "The supplier sells nothing under this SKU that we know.", "supplier_sku", theirs,
                "Add a column sku with ours: it is remembered.",
            )  # fmt: skip
        elif sku in facts and (facts[sku][1] != currency or facts[sku][0] in elsewhere):
            fields["offer_cost"] = fields.pop("cost")
        found.append(FileProduct("", product.row, {}, [FileVariant(sku, variant.row, fields)]))
    return found, refused


async def take_offers(
    tx: Tx, supplier_id: UUID, products: Sequence[FileProduct], findings: Sequence[Finding], *, apply: bool
) -> list[Finding]:
    """Compare what the supplier asks with what it asked, and write it if `apply`; return the findings with it."""
    facts = await catalog.currencies(tx, [product.variants[0].sku for product in products])
    currency = await stock.supplier_currency(tx, supplier_id)
    there = await stock.offers_for(tx, supplier_id, [id for id, _ in facts.values()])
    offers, result = [], []
    for product, finding in zip(products, findings, strict=True):
        variant = product.variants[0]
        if variant.sku not in facts or finding.outcome is Outcome.REFUSED:
            result.append(finding)
            continue
        id = facts[variant.sku][0]
        old = there.get(id)
        new = _offer(old or Offer(id), variant, currency)
        if new == old:
            result.append(finding)
            continue
        offers.append(new)
        changes = _changes(variant.sku, old, new, currency)
        outcome = Outcome.CHANGED if finding.outcome is Outcome.UNCHANGED else finding.outcome
        result.append(replace(finding, outcome=outcome, changes=(*finding.changes, *changes)))
    if apply and offers:
        await stock.put_offers(tx, supplier_id, offers)
    return result


def _changes(sku: str, old: Offer | None, new: Offer, currency: str) -> list[Change]:
    """Return what an offer changes, as text; of a new one all that it tells."""
    found: list[Change] = []
    for name, field in _SHOWN:
        before = "" if old is None else _shown(getattr(old, field), field, currency)
        after = _shown(getattr(new, field), field, currency)
        if before != after:
            found.append((sku, f"supplier's {name}", before, after))
    return found


_SHOWN = (
    ("cost", "cost_minor"), ("SKU", "supplier_sku"), ("lead time", "lead_time_days"), ("pack", "pack_units"),
    ("least order", "minimum_units"),
)  # fmt: skip


def _offer(old: Offer, variant: FileVariant, currency: str) -> Offer:
    told = variant.fields
    cost = told.get("cost") or told.get("offer_cost")
    return replace(
        old,
        supplier_sku=told.get("supplier_sku", old.supplier_sku),
        cost_minor=to_minor(cost, currency) if cost is not None else old.cost_minor,
        lead_time_days=told.get("lead_time_days", old.lead_time_days),
        pack_units=told.get("pack_units", old.pack_units),
        minimum_units=told.get("minimum_units", old.minimum_units),
    )


def _shown(value: object, field: str, currency: str) -> str:
    if value is None:
        return ""
    return f"{to_decimal(int(str(value)), currency)} {currency}" if field == "cost_minor" else str(value)

"""A part of an import compared with what there is, and taken over: catalog, stock, suppliers and waiting orders together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from entrepot.catalog import facade as catalog
from entrepot.catalog.files.contracts import FileProduct, RowProblem
from entrepot.catalog.intake_rules import Finding, Outcome
from entrepot.database.pool import Tx
from entrepot.orders import facade as orders
from entrepot.stock import facade as stock
from entrepot.sync.importing import supplying
from entrepot.sync.importing.contracts import Compared, ImportDetail

OPENING = "opening stock"
COUNTED = "product file"


async def compare_part(tx: Tx, found: ImportDetail, products: Sequence[FileProduct], *, apply: bool) -> Compared:
    """Say what these products change, and change it if `apply`. Raises TakenMeanwhile."""
    if found.source == "supplier":
        return await supplying.compare_list(tx, found.options, products, apply=apply)
    work = catalog.take if apply else catalog.find
    taken = await work(tx, products, found.options.currency)
    findings = list(taken.findings)
    findings, stock_set = await _stock(tx, found, findings, taken.new_variants, apply=apply)
    if apply:
        await catalog.tell_matched(tx, taken.matched_listings)
        await catalog.tell_changed(tx, taken.products)
        if found.options.end_listings:
            archived = [f.product_id for f in taken.findings if f.product_id and archives(f)]
            await catalog.tell_archived(tx, archived, f"{found.actor}, import")
        await catalog.tell_filed(tx, [f.product_id for f in taken.findings if f.product_id and _files_anew(f)])
        if taken.new_variants:
            await orders.settle_exceptions(tx, taken.new_variants)
    return Compared(tuple(findings), stock_set, len(taken.matched_listings))


def archives(finding: Finding) -> bool:
    """Return whether a product that was there is archived now."""
    archived = any(not sku and name == "status" and after == "archived" for sku, name, _, after in finding.changes)
    return finding.outcome is Outcome.CHANGED and archived


def _files_anew(finding: Finding) -> bool:
    """Return whether a product that was there is in another category or has other tags now."""
    changed = {name for sku, name, _, _ in finding.changes if not sku}
    return finding.outcome is Outcome.CHANGED and not catalog.FILING.isdisjoint(changed)


async def _stock(
    tx: Tx, found: ImportDetail, findings: Sequence[Finding], made: Mapping[str, UUID], *, apply: bool
) -> tuple[list[Finding], int]:
    """Open the stock of new variants; set that of all if wanted. Return the findings with it, and how many levels."""
    if found.options.stock == "leave":
        return list(findings), 0
    every = found.options.stock == "set"
    new = {sku for finding in findings for sku in finding.variants_new}
    told = [each for finding in findings for each in finding.stock if every or each[1] in new]
    if not told:
        return list(findings), 0
    known = [id for id, sku, _, _ in told if sku not in new]
    there = await stock.on_hand_at_first(tx, known) if known else {}
    bundles = set(await catalog.parts_of(tx, known)) if known else set()
    changes: list[stock.StockChange] = []
    result = []
    for finding in findings:
        lines, problems = [], []
        for id, sku, units, row in finding.stock:
            if sku not in new and (not every or there.get(id, 0) == units):
                continue
            if id in bundles:
                problems.append(
                    RowProblem(
                        row, sku, "The stock of a bundle follows its parts. It is left as it is.", "stock", str(units),
                        "Set the stock of the parts.",
                    )
                )  # fmt: skip
                continue
            changes.append(stock.StockChange(id, COUNTED if sku not in new else OPENING, on_hand=units))
            if sku not in new:
                lines.append((sku, "stock", str(there.get(id, 0)), str(units)))
        outcome = Outcome.CHANGED if lines and finding.outcome is Outcome.UNCHANGED else finding.outcome
        result.append(
            replace(
                finding, outcome=outcome, changes=(*finding.changes, *lines), problems=(*finding.problems, *problems)
            )
            if lines or problems
            else finding
        )
    if apply and changes:
        await stock.change_on_hand(tx, changes, kind="count", actor=found.actor_reference)
    return result, len(changes)

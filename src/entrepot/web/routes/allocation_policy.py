"""One policy: chosen, its fields, its rules, tried before it is saved, taken away again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.allocation import csv_out, reading
from entrepot.allocation import facade as allocation
from entrepot.catalog import facade as catalog
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Scope
from entrepot.kernel.errors import InvalidInput, NotFound
from entrepot.sync import facade as sync
from entrepot.sync import reading as sync_reading
from entrepot.web import policy_forms, rule_forms
from entrepot.web.routes.stock_places import send_file
from entrepot.web.services import PageServices
from entrepot.web.visit import Visit, page, parse_id

KINDS = (allocation.SHOP, allocation.CATEGORY, allocation.PRODUCT)


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of one policy."""
    read, write = Scope.STOCK_READ, Scope.STOCK_WRITE
    return [
        Route("/allocation/for", page(services, find, read), methods=["GET"]),
        Route("/allocation/policy", page(services, edit, read), methods=["GET"]),
        Route("/allocation/policy", page(services, change, read), methods=["POST"]),
        Route("/allocation/policy/remove", page(services, remove, write), methods=["POST"]),
    ]


@dataclass(slots=True)
class Editor:
    """What the form shows: typed values by field, rules, and what is wrong by field ("" for the whole)."""

    strategy: str
    values: Mapping[str, str] = field(default_factory=dict)
    rules: rule_forms.Rules = field(default_factory=rule_forms.Rules)
    as_data: bool = False
    data: str = ""
    sku: str = ""
    errors: dict[str, str] = field(default_factory=dict)


def _scope(kind: str, id: str) -> allocation.Scope:
    if kind not in KINDS or (kind == allocation.SHOP) != (not id):
        raise NotFound("There is no such policy.")
    return allocation.Scope(kind, parse_id(id) if id else None)


def address(scope: allocation.Scope, **more: str) -> str:
    """Return the address of a scope's policy."""
    parts = {"scope": scope.kind, "id": str(scope.id or ""), **more}
    return "/allocation/policy?" + "&".join(f"{name}={value}" for name, value in parts.items() if value)


async def find(visit: Visit) -> Response:
    """Go to the policy of a category, or of the product that a SKU or handle names."""
    category, sku = visit.parameter("category"), visit.parameter("sku")
    if category:
        return visit.go(address(allocation.Scope(allocation.CATEGORY, parse_id(category))))
    async with visit.transaction() as tx:
        product_id = await reading.product_by_sku(tx, sku)
    if product_id is None:
        return visit.go("/allocation", f"There is no SKU or handle {sku[:60]!r}.")
    return visit.go(address(allocation.Scope(allocation.PRODUCT, product_id)))


# ---- the page --------------------------------------------------------------------------------------------


async def edit(visit: Visit) -> Response:
    """The form of one policy: as it is, or empty for another strategy."""
    scope = _scope(visit.parameter("scope") or allocation.SHOP, visit.parameter("id"))
    async with visit.transaction() as tx:
        present = await allocation.in_force(tx, scope)
        strategy = visit.parameter("strategy") or present.policy.strategy
        if strategy not in policy_forms.STRATEGIES:
            raise InvalidInput(f"There is no strategy {strategy!r}.")
        parameters = present.policy.parameters if strategy == present.policy.strategy else {}
        editor = Editor(strategy, as_data=visit.parameter("as") == "data")
        editor.values = policy_forms.values_of(
            policy_forms.fields_of(strategy, await _channels(tx, parameters)), parameters
        )
        if strategy == "rules":
            handles = await reading.product_handles(tx, _products_in(parameters))
            editor.rules = rule_forms.form_of(parameters, handles)
            editor.data = json.dumps(dict(parameters) or {"rules": []}, indent=2, sort_keys=True)
            if not parameters:
                editor.rules.zone = visit.organisation.timezone
    return await _page(visit, scope, editor)


def _products_in(parameters: Mapping[str, Any]) -> list[UUID]:
    named = [id for rule in parameters.get("rules", ()) for id in rule.get("if", {}).get("product", ())]
    ids = []
    for id in named:
        try:
            ids.append(UUID(id))
        except ValueError:
            continue
    return ids


async def _channels(tx: Tx, parameters: Mapping[str, Any]) -> list[str]:
    """Return the channels that are connected, and those that the parameters name besides."""
    named = {*parameters.get("shares", {}), *parameters.get("targets", {})}
    connected = await reading.channels_connected(tx)
    return [*connected, *sorted(named - set(connected))]


async def _page(
    visit: Visit, scope: allocation.Scope, editor: Editor, preview: Mapping[str, Any] | None = None
) -> Response:
    async with visit.transaction() as tx:
        present = await allocation.in_force(tx, scope)
        name = await reading.name_of(tx, scope.kind, scope.id)
        above = await reading.name_of(tx, present.scope.kind, present.scope.id)
        given = present.policy.parameters if present.policy.strategy == editor.strategy else {}
        channels = await _channels(tx, given)
    context: dict[str, Any] = {
        "scope": scope, "name": name, "present": present, "above": above, "own": present.scope == scope and present.stored,
        "editor": editor, "fields": policy_forms.fields_of(editor.strategy, channels), "channels": channels,
        "texts": policy_forms.STRATEGIES, "days": rule_forms.DAYS, "address": address, "preview": preview,
        "in_words": policy_forms.in_words,
    }  # fmt: skip
    if visit.is_partial:
        return visit.part("allocation_editor.html", **context)
    return await visit.page("allocation_policy.html", status=422 if editor.errors else 200, tab="", **context)


# ---- what a person does there ----------------------------------------------------------------------------


async def change(visit: Visit) -> Response:
    """Save a policy, try it (for the page or as CSV), or change the list of rules in the form; which, the button says."""
    form = dict(await visit.form())
    scope = _scope(form.get("scope", ""), form.get("id", ""))
    do = form.get("do", "preview")
    editor = Editor(
        form.get("strategy", ""), form, rule_forms.typed(form), form.get("as") == "data", sku=form.get("sku", "")
    )
    editor.data = form.get("data", "")
    if editor.strategy not in policy_forms.STRATEGIES:
        raise InvalidInput("Choose a strategy.")
    if do not in ("save", "preview", "csv"):
        editor.rules = rule_forms.changed(editor.rules, do)
        return await _page(visit, scope, editor)
    if do == "save":
        visit.actor.require(Scope.STOCK_WRITE)
    async with visit.transaction() as tx:
        draft = await _draft(tx, editor, form)
        if draft is not None and do == "save":
            before = (await allocation.in_force(tx, scope)).policy
            await allocation.set_policy(tx, draft.strategy, draft.parameters, scope=scope)
            await _record(tx, visit, "allocation.set_policy", scope, before, draft)
            return visit.go("/allocation", "Saved; stock is divided anew.")
        shown = await _try(visit, tx, scope, draft, editor, form) if draft is not None else None
    if shown is not None and do == "csv":
        return await send_file(visit, csv_out.preview(shown["found"], shown["named"]))
    return await _page(visit, scope, editor, shown)


async def _draft(tx: Tx, editor: Editor, form: Mapping[str, str]) -> allocation.Policy | None:
    """Return the policy that is typed, or None, having noted what is wrong with which field."""
    if editor.strategy == "rules":
        parameters, names = await _rules_typed(tx, editor)
    else:
        channels = await reading.channels_connected(tx)
        typed = [name.removeprefix(p) for name in form for p in ("p-shares-", "p-targets-") if name.startswith(p)]
        fields = policy_forms.fields_of(editor.strategy, [*channels, *(c for c in typed if c not in channels)])
        parameters, editor.errors = policy_forms.parameters_of(fields, form)
        names = [each.name for each in fields]
    if editor.errors:
        return None
    try:
        return allocation.check_policy(editor.strategy, parameters)
    except allocation.InvalidPolicy as wrong:
        if editor.strategy != "rules":
            editor.errors = policy_forms.error_of(wrong, names)
        else:
            editor.errors = {"data" if editor.as_data else rule_forms.field_of(wrong.path, names): wrong.detail}
        return None


async def _rules_typed(tx: Tx, editor: Editor) -> tuple[dict[str, Any], list[str]]:
    if editor.as_data:
        try:
            found = json.loads(editor.data)
        except ValueError as wrong:
            found = None
            editor.errors = {"data": f"That is not JSON: {wrong}."}
        if not isinstance(found, dict) and not editor.errors:
            editor.errors = {"data": 'Write {"rules": [...]}, as in the example.'}
        return (found if isinstance(found, dict) else {}), []
    ids = await reading.products_by_handle(tx, rule_forms.handles_in(editor.rules))
    parameters, editor.errors = rule_forms.data_of(editor.rules, ids)
    return parameters, rule_forms.error_names(editor.rules)


async def _try(
    visit: Visit,
    tx: Tx,
    scope: allocation.Scope,
    draft: allocation.Policy,
    editor: Editor,
    form: Mapping[str, str],
) -> Mapping[str, Any] | None:
    """Return what the draft would change, and what was typed, for the page."""
    variant_id = None
    if editor.sku:
        variant_id = (await catalog.known_skus(tx, [editor.sku])).get(editor.sku)
        if variant_id is None:
            editor.errors = {"sku": f"There is no SKU {editor.sku[:60]!r}."}
            return None
    services = visit.services
    found = await sync.preview(tx, draft, scope, services.find_connector, services.learning, variant_id=variant_id)
    named = await sync_reading.listing_names(tx, [d.today.listing_id for d in found.differences])
    again = {name: value for name, value in form.items() if name not in ("csrf_token", "do")}
    return {"found": found, "named": named, "typed": again}


async def remove(visit: Visit) -> Response:
    """Take a policy away, so that the next one above counts."""
    form = await visit.form()
    scope = _scope(form.get("scope", ""), form.get("id", ""))
    async with visit.transaction() as tx:
        before = (await allocation.in_force(tx, scope)).policy
        await allocation.drop_policy(tx, scope)
        await _record(tx, visit, "allocation.drop_policy", scope, before, None)
    return visit.go("/allocation", "Removed; what is above it counts now.")


async def _record(
    tx: Tx,
    visit: Visit,
    action: str,
    scope: allocation.Scope,
    before: allocation.Policy,
    after: allocation.Policy | None,
) -> None:
    told = [{"strategy": p.strategy, "parameters": dict(p.parameters)} if p else None for p in (before, after)]
    subject = str(scope.id or visit.organisation.id)
    await identity.record(tx, visit.actor, action, scope.kind, subject, *told)

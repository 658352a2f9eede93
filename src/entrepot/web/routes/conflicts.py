"""Conflicts: what hub and channels disagree about, the riskiest first, with the evidence beside it."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.channels import facade as channels
from entrepot.identity.facade import Scope
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import EntrepotError, InvalidInput
from entrepot.sync import conflict_reading as reading
from entrepot.sync import conflicts
from entrepot.sync.conflict_reading import ConflictFilter, ConflictView
from entrepot.sync.conflicts import Choice, Flow, NewPolicy, Policy, Side
from entrepot.sync.merge.fields import FIELDS
from entrepot.sync.merge.policies import FOR_NUMBERS
from entrepot.sync.merge.values import NUMERIC
from entrepot.web.services import PageServices
from entrepot.web.visit import HEADERS, Visit, page, parse_id

PAGE_SIZE = 30
POLICY_WORDS = {
    Policy.MANUAL: "A person decides",
    Policy.LAST_WRITE: "The last change wins",
    Policy.SOURCE_PRIORITY: "The source with priority wins",
    Policy.LOWEST: "The lowest wins",
    Policy.MEAN: "The mean",
    Policy.MEDIAN: "The median",
    Policy.WEIGHTED: "Weighted, as learned",
}
FLOW_WORDS = {
    Flow.BOTH: "Either side may change it",
    Flow.OURS: "Ours only: what they change is put back",
    Flow.THEIRS: "Theirs only: what we change stays here",
    Flow.NONE: "Not compared",
}
SIDE_WORDS = {"ours": "Ours", "theirs": "Theirs", "value": "Another value", "apart": "Theirs on this channel only"}


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of conflicts."""
    read, write, rule = Scope.PRODUCTS_READ, Scope.PRODUCTS_WRITE, Scope.CHANNELS_WRITE
    return [
        Route("/conflicts", page(services, listing, read), methods=["GET"]),
        Route("/conflicts/decided", page(services, decided, read), methods=["GET"]),
        Route("/conflicts/export.csv", page(services, export, read), methods=["GET"]),
        Route("/conflicts/policies", page(services, policies, read), methods=["GET"]),
        Route("/conflicts/policies", page(services, set_policy, rule), methods=["POST"]),
        Route("/conflicts/policies/remove", page(services, remove_policy, rule), methods=["POST"]),
        Route("/conflicts/policies/preview", page(services, preview, read), methods=["GET"]),
        Route("/conflicts/{id}", page(services, listing, read), methods=["GET"]),
        Route("/conflicts/{id}/resolve", page(services, resolve, write), methods=["POST"]),
        Route("/conflicts/{id}/undo", page(services, undo, write), methods=["POST"]),
    ]


def _chosen(visit: Visit, state: str = "open") -> ConflictFilter:
    connection = visit.parameter("connection")
    kind, field = visit.parameter("kind"), visit.parameter("field").replace("\x00", "")
    if kind and kind not in reading.KINDS:
        raise InvalidInput(f"{kind!r} is not a kind of conflict.")
    return ConflictFilter(state, kind or None, field or None, parse_id(connection) if connection else None)


def _parameters(chosen: ConflictFilter) -> dict[str, str]:
    found = {"kind": chosen.kind, "field": chosen.field, "connection": chosen.connection_id}
    return {name: str(value) for name, value in found.items() if value}


async def listing(visit: Visit) -> Response:
    """The queue on the left; the evidence of one on the right."""
    return await _listing(visit)


async def _listing(visit: Visit, error: str = "", wanted: UUID | None = None) -> Response:
    chosen, cursor = _chosen(visit), visit.parameter("cursor")
    if wanted is None and "id" in visit.request.path_params:
        wanted = visit.id_of("id")
    undo_id = visit.parameter("undo")
    async with visit.transaction() as tx:
        groups = await reading.groups(tx)
        rows = await reading.list_conflicts(tx, chosen, cursor, PAGE_SIZE)
        shown = rows.items[0] if wanted is None and rows.items else None
        if wanted is not None:
            shown = await reading.conflict_detail(tx, wanted)
        evidence: dict[str, Any] = {}
        if shown is not None:
            before, after = await reading.beside(tx, shown, chosen)
            evidence = {"previous": before, "next": after, "similar": await reading.count_similar(tx, shown)}
            if not shown.ours_by and shown.variant_id is not None and shown.kind in ("price", "content"):
                evidence["editor"] = await reading.last_editor(tx, shown.variant_id)
    return await visit.page(
        "conflicts.html", status=409 if error else 200, tab="open", rows=rows, groups=groups, chosen=chosen, shown=shown,
        parameters=_parameters(chosen), cursor=cursor, error=error, undo_id=undo_id, why=reading.WHY,
        policies=_policies_of(shown), flows=FLOW_WORDS, **_words(), **evidence,
    )  # fmt: skip


def _words() -> dict[str, Any]:
    return {
        "words_of": reading.words_of, "title_of": reading.title_of, "side_words": SIDE_WORDS,
        "policy_words": POLICY_WORDS,
    }  # fmt: skip


def _policies_of(shown: ConflictView | None) -> dict[Policy, str]:
    """Return the policies that fit the field of a conflict."""
    if shown is None or shown.field not in FIELDS:
        return {}
    numeric = FIELDS[shown.field].kind in NUMERIC
    return {policy: words for policy, words in POLICY_WORDS.items() if numeric or policy not in FOR_NUMBERS}


async def decided(visit: Visit) -> Response:
    """What was decided, the last first."""
    chosen, cursor = _chosen(visit, "resolved"), visit.parameter("cursor")
    async with visit.transaction() as tx:
        rows = await reading.list_conflicts(tx, chosen, cursor, PAGE_SIZE)
    return await visit.page(
        "conflicts_decided.html", tab="decided", rows=rows, cursor=cursor, parameters=_parameters(chosen), **_words()
    )


async def export(visit: Visit) -> Response:
    """A list as a CSV file."""
    state = visit.parameter("state") or "open"
    if state not in reading.STATES:
        raise InvalidInput(f"{state!r} is not a list of conflicts.")
    async with visit.transaction() as tx:
        text = await reading.csv_text(tx, _chosen(visit, state))
    headers = {**HEADERS, "Content-Disposition": 'attachment; filename="conflicts.csv"'}
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


async def resolve(visit: Visit) -> Response:
    """Decide, and go on to the next one."""
    id = visit.id_of("id")
    form = await visit.form()
    chosen = _chosen(visit)
    try:
        side = Side(form.get("side", ""))
    except ValueError:
        raise InvalidInput("Choose a side.") from None
    choice = Choice(side, form.get("value"))
    try:
        async with visit.transaction() as tx:
            view = await reading.conflict_detail(tx, id)
            _, after = await reading.beside(tx, view, chosen)
            if form.get("similar") and choice.side is Side.VALUE:
                choice = Choice(Side.VALUE)
            if form.get("similar"):
                settled = await conflicts.resolve_similar(tx, visit.actor, id, choice, utc_now())
            else:
                if form.get("seen") != view.updated_at.isoformat():
                    raise conflicts.ConflictMoved
                await conflicts.resolve(tx, visit.actor, id, choice, utc_now())
                settled = [conflicts.Settled(id)]
    except EntrepotError as error:
        if error.status in (401, 403) or error.status >= 500:
            raise
        return await _listing(visit, error.detail, id)
    return visit.go(_back(chosen, id, after, settled), _said(settled))


def _back(chosen: ConflictFilter, id: UUID, after: UUID | None, settled: list[conflicts.Settled]) -> str:
    parameters = _parameters(chosen)
    if len(settled) == 1:
        parameters["undo"] = str(id)
        path = f"/conflicts/{after}" if after else "/conflicts"
    else:
        path = "/conflicts"
    return f"{path}?{urlencode(parameters)}" if parameters else path


def _said(settled: list[conflicts.Settled]) -> str:
    done = sum(not each.problem for each in settled)
    if len(settled) == 1:
        return "Decided. Z undoes it, for 10 seconds."
    problems = {each.problem for each in settled if each.problem}
    return f"{done:,} decided." + (f" {len(settled) - done:,} not: {sorted(problems)[0]}" if problems else "")


async def undo(visit: Visit) -> Response:
    """Take a decision back."""
    id = visit.id_of("id")
    async with visit.transaction() as tx:
        await conflicts.undo(tx, visit.actor, id, utc_now())
    return visit.go("/conflicts", "Undone. It is looked at anew.")


# ---- policies --------------------------------------------------------------------------------------------


async def policies(visit: Visit) -> Response:
    """The policies that were set, and a form for another."""
    return await _policies(visit)


async def _policies(visit: Visit, error: str = "") -> Response:
    async with visit.transaction() as tx:
        rows = await conflicts.list_policies(tx)
        places = await channels.list_all(tx)
    return await visit.page(
        "conflicts_policies.html", status=409 if error else 200, tab="policies", rows=rows, places=places, fields=FIELDS,
        flows=FLOW_WORDS, policies=POLICY_WORDS, error=error, **_words(),
    )  # fmt: skip


async def set_policy(visit: Visit) -> Response:
    """Set a policy; what is open is decided by it at once."""
    form = await visit.form()
    try:
        async with visit.transaction() as tx:
            await conflicts.set_policy(tx, visit.actor, _typed(form), utc_now())
    except EntrepotError as error:
        if error.status in (401, 403) or error.status >= 500:
            raise
        return await _policies(visit, error.detail)
    return visit.go("/conflicts/policies", "Set. Open conflicts are decided by it now.")


def _typed(form: Any) -> NewPolicy:
    swing = form.get("swing", "").replace("%", "").replace(",", ".").strip()
    try:
        percent = Decimal(swing) if swing else None
        flow, policy = Flow(form.get("flow", Flow.BOTH)), Policy(form.get("policy", Policy.MANUAL))
    except InvalidOperation:
        raise InvalidInput("The limit of a swing must be a percentage, such as 30.") from None
    except ValueError:
        raise InvalidInput("Choose a policy from the list.") from None
    if percent is not None and not percent.is_finite():
        raise InvalidInput("The limit of a swing must be a percentage, such as 30.")
    connection = form.get("connection", "")
    return NewPolicy(parse_id(connection) if connection else None, form.get("field", ""), flow, policy, percent)


async def remove_policy(visit: Visit) -> Response:
    """Let the more general policy hold again."""
    form = await visit.form()
    connection = form.get("connection", "")
    async with visit.transaction() as tx:
        place = parse_id(connection) if connection else None
        if not await conflicts.remove_policy(tx, visit.actor, place, form.get("field", "")):
            raise conflicts.PolicyNotFound
    return visit.go("/conflicts/policies", "Removed.")


async def preview(visit: Visit) -> Response:
    """What a policy would have decided, as a part of a page."""
    connection, field = visit.parameter("connection"), visit.parameter("field").replace("\x00", "")
    try:
        policy = Policy(visit.parameter("policy"))
    except ValueError:
        raise InvalidInput("Choose a policy from the list.") from None
    if not field:
        raise InvalidInput("Choose a field to see what a policy would have decided.")
    async with visit.transaction() as tx:
        found = await conflicts.preview_policy(tx, parse_id(connection) if connection else None, field, policy)
    return visit.part("conflicts_preview.html", found=found, policy=policy, **_words())

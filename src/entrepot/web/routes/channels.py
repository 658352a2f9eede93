"""Channels: the list, the connect wizard, one connection with its status, timeline and settings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.channels import facade as channels
from entrepot.channels.contract import CheckReport, Manifest
from entrepot.channels.contracts import Connection, ConnectionChanges, ConnectionState, NewConnection
from entrepot.channels.facade import InvalidFields
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Scope
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import EntrepotError, NotFound
from entrepot.orders import reading as orders
from entrepot.sync import facade as sync_facade
from entrepot.sync import reading as sync
from entrepot.sync.desk import ConnectionTestFailed
from entrepot.sync.fields import first_contact
from entrepot.sync.fields.first_contact import FirstContact
from entrepot.web.services import PageServices
from entrepot.web.timeline import timeline_of
from entrepot.web.visit import Visit, page, parse_id, whole_number

TABS = ("status", "timeline", "settings")


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of channels."""
    read, write = Scope.CHANNELS_READ, Scope.CHANNELS_WRITE
    return [
        Route("/channels", page(services, listing, read), methods=["GET"]),
        Route("/channels/trouble", page(services, trouble, read), methods=["GET"]),
        Route("/channels/trouble/retry", page(services, retry, Scope.SYNC_RUN), methods=["POST"]),
        Route("/channels/connect", page(services, choose, write), methods=["GET"]),
        Route("/channels/connect/{channel}", page(services, form, write), methods=["GET"]),
        Route("/channels/connect/{channel}", page(services, submit, write), methods=["POST"]),
        Route("/channels/{connection_id}", page(services, detail, read), methods=["GET"]),
        Route("/channels/{connection_id}/settings", page(services, save_settings, write), methods=["POST"]),
        Route("/channels/{connection_id}/credentials", page(services, save_credentials, write), methods=["POST"]),
        Route("/channels/{connection_id}/test", page(services, test, Scope.SYNC_RUN), methods=["POST"]),
        Route("/channels/{connection_id}/pause", page(services, pause, write), methods=["POST"]),
        Route("/channels/{connection_id}/resume", page(services, resume, write), methods=["POST"]),
        Route("/channels/{connection_id}/disconnect", page(services, disconnect, write), methods=["POST"]),
        Route("/channels/{connection_id}/{tab}", page(services, detail, read), methods=["GET"]),
    ]


async def listing(visit: Visit) -> Response:
    """The list."""
    async with visit.transaction() as tx:
        rows = await sync.channel_overview(tx)
        day = await orders.placed_counts(tx, utc_now() - timedelta(hours=24))
    return await visit.page("channels.html", channels=rows, orders_24h=day)


async def trouble(visit: Visit) -> Response:
    """Listings whose quantity differs or is parked, on all channels."""
    async with visit.transaction() as tx:
        rows = await sync.troubled_listings(tx, limit=200)
    return await visit.page("trouble.html", rows=rows)


async def retry(visit: Visit) -> Response:
    """Try parked listings again: those that were selected, or all of them."""
    files = await visit.files()
    chosen = [parse_id(str(value)) for value in files.getlist("listing")]
    form = await visit.form()
    async with visit.transaction() as tx:
        if form.get("all") == "1":
            tried = await sync_facade.retry_parked(tx)
        else:
            tried = sum([await sync_facade.retry_parked(tx, listing_id=listing_id) for listing_id in chosen])
    said = f"{tried} {'is' if tried == 1 else 'are'} tried again." if tried else "None of these is parked."
    return visit.go("/channels/trouble", said)


async def choose(visit: Visit) -> Response:
    """Step one of connecting: which channel."""
    return await visit.page("connect.html", manifests=visit.services.manifests())


async def form(visit: Visit) -> Response:
    """Step two: what the channel needs to be reached."""
    manifest = visit.services.find_connector(visit.request.path_params["channel"]).manifest
    return await _form(visit, manifest)


async def _form(
    visit: Visit,
    manifest: Manifest,
    values: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    report: CheckReport | None = None,
) -> Response:
    context: dict[str, Any] = {
        "manifest": manifest,
        "values": values or {},
        "errors": errors or {},
        "report": report,
        "names": ["name", "environment", *(each.name for each in manifest.fields)],
    }
    if visit.is_partial:
        return visit.part("connect_outcome.html", **context)
    return await visit.page("connect_form.html", status=422 if errors else 200, **context)


async def submit(visit: Visit) -> Response:
    """Test what was entered; with the button Connect, save it if the test is passed."""
    manifest = visit.services.find_connector(visit.request.path_params["channel"]).manifest
    entered = await visit.form()
    values = {each.name: entered.get(each.name, "") for each in manifest.fields}
    new = NewConnection(manifest.key, entered.get("name", ""), entered.get("environment", ""), values)
    shown = {"name": new.name, "environment": new.environment, **values}
    try:
        _check_name(new.name)
        report = await visit.services.channels.check_new(visit.actor, new)
        if not report.ok or entered.get("do") != "connect":
            return await _form(visit, manifest, shown, report=report)
        connection_id = await visit.services.channels.connect(visit.actor, new)
    except InvalidFields as error:
        messages = dict(error.messages)
        if new.name == "" and "name" not in messages:
            messages["name"] = "Give the connection a name."
        return await _form(visit, manifest, shown, errors=messages)
    except EntrepotError as error:
        field = "name" if "name" in error.context else "outcome"
        return await _form(visit, manifest, shown, errors={field: error.detail})
    return visit.go(f"/channels/{connection_id}", f"{new.name} is connected. Its listings and orders come in now.")


def _check_name(name: str) -> None:
    if not name:
        raise InvalidFields({"name": "Give the connection a name, such as the shop's."})


async def detail(visit: Visit) -> Response:
    """One connection: Status, Timeline or Settings."""
    tab = visit.request.path_params.get("tab", "status")
    if tab not in TABS:
        raise NotFound
    connection_id = visit.id_of("connection_id")
    async with visit.transaction() as tx:
        overview = await sync.channel_overview(tx, connection_id)
        if not overview:
            raise channels.ConnectionNotFound
        connection = await channels.get(tx, connection_id)
        context = await _tab(tx, tab, connection)
    return await visit.page(
        f"channel_{tab}.html",
        row=overview[0],
        connection=connection,
        manifest=_manifest(visit, connection),
        tab=tab,
        **context,
    )


async def _first(tx: Tx, connection: Connection) -> FirstContact | None:
    """Return the first comparison; None for a connection without one."""
    try:
        return await first_contact.compare(tx, connection.id)
    except first_contact.NoFirstContact:
        return None


def _manifest(visit: Visit, connection: Connection) -> Manifest | None:
    """Return the manifest, or None for a channel whose connector is gone: the page still shows the rest."""
    try:
        return visit.services.find_connector(connection.channel).manifest
    except (NotFound, ImportError):
        return None


async def _tab(tx: Tx, tab: str, connection: Connection) -> dict[str, Any]:
    if tab == "status":
        day = await orders.placed_counts(tx, utc_now() - timedelta(hours=24))
        return {
            "orders_24h": day.get(connection.id, 0),
            "first": await _first(tx, connection),
            "trouble": await sync.troubled_listings(tx, connection.id),
            "inbox": await sync.inbox_trouble(tx, connection.id),
            "runs": await sync.list_runs(tx, connection.id, limit=5),
        }
    if tab == "timeline":
        return {
            "entries": timeline_of(
                await sync.health_history(tx, connection.id),
                await identity.list_audit(tx, subject_kind="connection", subject_id=str(connection.id)),
                (await sync.list_runs(tx, connection.id)).items,
            )
        }
    return {"errors": {}}


async def save_settings(visit: Visit) -> Response:
    """Change what a person may change of a connection."""
    connection_id = visit.id_of("connection_id")
    entered = await visit.form()
    try:
        async with visit.transaction() as tx:
            connection = await channels.get(tx, connection_id)
            connector = visit.services.find_connector(connection.channel)
            changes = _changes(entered, connector.manifest)
            await channels.update(tx, connector, connection_id, changes, audit=_audit(visit, tx))
    except InvalidFields as error:
        return await _settings_again(visit, error.messages)
    return visit.go(f"/channels/{connection_id}/settings", "Saved.")


async def _settings_again(visit: Visit, errors: Mapping[str, str]) -> Response:
    connection_id = visit.id_of("connection_id")
    async with visit.transaction() as tx:
        overview = await sync.channel_overview(tx, connection_id)
        connection = await channels.get(tx, connection_id)
    return await visit.page(
        "channel_settings.html",
        status=422,
        row=overview[0],
        connection=connection,
        manifest=_manifest(visit, connection),
        tab="settings",
        errors=errors,
    )


def _changes(entered: Mapping[str, str], manifest: Manifest) -> ConnectionChanges:
    """Return the changes of the settings form. Raises InvalidFields."""
    share = entered.get("share", "").replace("%", "").replace(",", ".")
    try:
        part = Decimal(share) / 100 if share else None
    except InvalidOperation:
        raise InvalidFields({"share": "The share is a number of percent, such as 40."}) from None
    settings = {
        each.name: entered[f"setting-{each.name}"]
        for each in manifest.fields
        if not each.secret and f"setting-{each.name}" in entered
    }
    messages: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for name, title in (("priority", "The priority"), ("buffer", "The buffer"), ("sync_interval_s", "The interval")):
        try:
            numbers[name] = whole_number(entered.get(name, ""), title)
        except EntrepotError as error:
            messages[name] = error.detail
    if messages:
        raise InvalidFields(messages)
    return ConnectionChanges(
        name=entered.get("name", ""),
        share=part,
        clear_share=part is None,
        fulfilment_only=entered.get("fulfilment_only") == "1",
        settings=settings or None,
        priority=numbers["priority"],
        buffer=numbers["buffer"],
        sync_interval_s=numbers["sync_interval_s"],
    )


async def save_credentials(visit: Visit) -> Response:
    """Test new secrets of a connection, keep them and let it work again."""
    connection_id = visit.id_of("connection_id")
    entered = await visit.form()
    values = {name.removeprefix("secret-"): value for name, value in entered.items() if name.startswith("secret-")}
    try:
        await visit.services.channels.replace_credentials(visit.actor, connection_id, values)
    except InvalidFields as error:
        return await _settings_again(visit, {f"secret-{name}": text for name, text in error.messages.items()})
    except ConnectionTestFailed as failed:
        return await _settings_again(visit, {"credentials": failed.detail})
    return visit.go(f"/channels/{connection_id}", "Connected again.")


async def test(visit: Visit) -> Response:
    """Try a stored connection."""
    report = await visit.services.channels.check(visit.actor, visit.id_of("connection_id"))
    if visit.is_partial:
        return visit.part("check_report.html", report=report)
    return visit.go(f"/channels/{visit.id_of('connection_id')}", report.summary)


async def pause(visit: Visit) -> Response:
    """Stop pulling and pushing."""
    return await _move(visit, ConnectionState.PAUSED)


async def resume(visit: Visit) -> Response:
    """Work again."""
    return await _move(visit, ConnectionState.ACTIVE)


async def _move(visit: Visit, state: ConnectionState) -> Response:
    connection_id = visit.id_of("connection_id")
    async with visit.transaction() as tx:
        if state is ConnectionState.PAUSED:
            reason = f"Paused by {visit.actor.name}."
            connection = await channels.pause(tx, connection_id, reason=reason, audit=_audit(visit, tx))
        else:
            connection = await channels.resume(tx, connection_id, audit=_audit(visit, tx))
    said = "is paused: orders are still kept, nothing is sent" if state is ConnectionState.PAUSED else "works again"
    return visit.go(f"/channels/{connection_id}", f"{connection.name} {said}.")


async def disconnect(visit: Visit) -> Response:
    """End a connection."""
    await visit.services.channels.disconnect(visit.actor, visit.id_of("connection_id"))
    return visit.go("/channels", "Disconnected. Its credentials are deleted; orders and history are kept.")


def _audit(visit: Visit, tx: Tx) -> channels.Audit:
    """Return what writes the audit log for the channels room, in the same transaction."""

    async def record(
        action: str, kind: str, subject: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
    ) -> None:
        await identity.record(tx, visit.actor, action, kind, subject, before=before, after=after)

    return record

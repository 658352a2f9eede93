"""Connections: our accounts on channels."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from starlette.responses import Response

from entrepot.api.amounts import Text255
from entrepot.api.answers import Input, Resource, empty, respond
from entrepot.api.dependencies import Call, CallDep
from entrepot.channels import facade as channels
from entrepot.channels.contract import Manifest
from entrepot.channels.contracts import Connection, ConnectionChanges, NewConnection
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.sync import reading as sync_reading

Values = Annotated[dict[str, Annotated[str, Field(max_length=8000)]], Field(max_length=50)]


class ConnectionView(Resource):
    """An account on a channel, how it does and what waits for it. Never its credentials."""

    id: UUID
    channel: str
    name: str
    environment: str
    settings: Mapping[str, str]
    state: str
    state_reason: str
    condition: str
    health_reason: str
    latency_ms: int | None
    last_sync_at: datetime | None
    listings: int
    matched: int
    waiting: int
    trouble: int
    inbox: int
    priority: int
    buffer: int
    share: Decimal | None
    fulfilment_only: bool
    sync_interval_s: int
    created_at: datetime


class Connections(Resource):
    """The connections, by name."""

    connections: list[ConnectionView]


class OneConnection(Resource):
    """A connection."""

    connection: ConnectionView


class Channels(Resource):
    """The connections, under the name of the older paths."""

    channels: list[ConnectionView]


class OneChannel(Resource):
    """A connection, under the name of the older paths."""

    channel: ConnectionView


class FieldView(Resource):
    """What a person enters to connect."""

    name: str
    title: str
    help: str
    secret: bool
    required: bool
    default: str


class ManifestView(Resource):
    """A channel that can be connected."""

    key: str
    title: str
    api_version: str
    capabilities: list[str]
    environments: list[str]
    fields: list[FieldView]


class Manifests(Resource):
    """The channels that can be connected."""

    channels: list[ManifestView]


class ConnectInput(Input):
    """How to connect a channel: see its fields at /v1/channels. Secret ones may be in either mapping."""

    channel: Annotated[str, Field(min_length=1, max_length=80)]
    name: Annotated[str, Field(min_length=1, max_length=80)]
    environment: Annotated[str, Field(max_length=80)] = "production"
    settings: Values = Field(default_factory=dict)
    credentials: Values = Field(default_factory=dict, repr=False)


class ConnectionPatch(Input):
    """What to change of a connection; what is absent stays. `share`: 0 to 1, null takes it away."""

    name: Text255 | None = None
    priority: int | None = None
    buffer: int | None = None
    share: Annotated[Decimal | None, Field(ge=0, le=1)] = None
    fulfilment_only: bool | None = None
    sync_interval_s: int | None = None
    settings: Values | None = None
    credentials: Annotated[
        Values | None, Field(repr=False, description="New secrets: the connection works again with them")
    ] = None


class TestReport(Resource):
    """What a connection test found, in plain words."""

    ok: bool
    summary: str
    account: str
    details: list[str]


async def list_manifests(call: CallDep) -> Response:
    """Return the channels that can be connected, and what each asks for."""
    return respond(Manifests(channels=[_manifest(each) for each in call.services.manifests()]))


async def list_connections(call: CallDep) -> Response:
    """Return the connections."""
    async with call.transaction() as tx:
        return respond(Connections(connections=await _views(tx)))


async def list_channels(call: CallDep) -> Response:
    """Return the connections."""
    async with call.transaction() as tx:
        return respond(Channels(channels=await _views(tx)))


async def get_connection(connection_id: UUID, call: CallDep) -> Response:
    """Return a connection."""
    async with call.transaction() as tx:
        return respond(OneConnection(connection=await _view(tx, connection_id)))


async def connect(body: ConnectInput, call: CallDep) -> Response:
    """Test the credentials, save the connection and start its first sync."""
    return await _connect(body, call, lambda view: OneConnection(connection=view))


async def connect_channel(body: ConnectInput, call: CallDep) -> Response:
    """Test the credentials, save the connection and start its first sync."""
    return await _connect(body, call, lambda view: OneChannel(channel=view))


async def _connect(body: ConnectInput, call: Call, shape: Callable[[ConnectionView], Resource]) -> Response:
    new = NewConnection(body.channel, body.name, body.environment, {**body.settings, **body.credentials})
    connection_id = await call.services.channels.connect(call.actor, new)
    async with call.transaction() as tx:
        return respond(shape(await _view(tx, connection_id)), 201)


async def update_connection(connection_id: UUID, body: ConnectionPatch, call: CallDep) -> Response:
    """Change a connection in part."""
    return respond(OneConnection(connection=await _update(connection_id, body, call)))


async def update_channel(channel_id: UUID, body: ConnectionPatch, call: CallDep) -> Response:
    """Change a connection in part."""
    return respond(OneChannel(channel=await _update(channel_id, body, call)))


async def _update(connection_id: UUID, body: ConnectionPatch, call: Call) -> ConnectionView:
    changes = ConnectionChanges(
        name=body.name, priority=body.priority, buffer=body.buffer, share=body.share,
        clear_share="share" in body.model_fields_set and body.share is None,
        fulfilment_only=body.fulfilment_only, sync_interval_s=body.sync_interval_s, settings=body.settings,
    )  # fmt: skip
    async with call.transaction() as tx:
        connection = await channels.get(tx, connection_id)
        connector = call.services.find_connector(connection.channel)
        await channels.update(tx, connector, connection_id, changes, audit=_audit(tx, call))
    if body.credentials is not None:
        await call.services.channels.replace_credentials(call.actor, connection_id, dict(body.credentials))
    async with call.transaction() as tx:
        return await _view(tx, connection_id)


async def disconnect(connection_id: UUID, call: CallDep) -> Response:
    """End a connection: its credentials are deleted, its orders and history stay."""
    await call.services.channels.disconnect(call.actor, connection_id)
    return empty()


async def disconnect_channel(channel_id: UUID, call: CallDep) -> Response:
    """End a connection: its credentials are deleted, its orders and history stay."""
    return await disconnect(channel_id, call)


async def test_connection(connection_id: UUID, call: CallDep) -> Response:
    """Try a connection and say in plain words what is wrong with it."""
    report = await call.services.channels.check(call.actor, connection_id)
    view = TestReport(ok=report.ok, summary=report.summary, account=report.account, details=list(report.details))
    return respond(view)


async def pause(connection_id: UUID, call: CallDep) -> Response:
    """Stop pulling and pushing; webhooks are still stored."""
    async with call.transaction() as tx:
        await channels.pause(tx, connection_id, reason="Paused", audit=_audit(tx, call))
        return respond(OneConnection(connection=await _view(tx, connection_id)))


async def resume(connection_id: UUID, call: CallDep) -> Response:
    """Work again after a pause."""
    async with call.transaction() as tx:
        await channels.resume(tx, connection_id, audit=_audit(tx, call))
        return respond(OneConnection(connection=await _view(tx, connection_id)))


def _audit(
    tx: Tx, call: Call
) -> Callable[[str, str, str, Mapping[str, Any] | None, Mapping[str, Any] | None], Awaitable[None]]:
    async def write(
        action: str, kind: str, subject: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
    ) -> None:
        await identity.record(tx, call.actor, action, kind, subject, before, after)

    return write


async def _views(tx: Tx) -> list[ConnectionView]:
    overview = {each.id: each for each in await sync_reading.channel_overview(tx)}
    return [_joined(each, overview[each.id]) for each in await channels.list_all(tx) if each.id in overview]


async def _view(tx: Tx, connection_id: UUID) -> ConnectionView:
    connection = await channels.get(tx, connection_id)
    (overview,) = await sync_reading.channel_overview(tx, connection_id)
    return _joined(connection, overview)


def _joined(connection: Connection, overview: sync_reading.ChannelOverview) -> ConnectionView:
    return ConnectionView(
        id=connection.id,
        channel=connection.channel,
        name=connection.name,
        environment=connection.environment,
        settings=connection.settings,
        state=connection.state.value,
        state_reason=connection.state_reason,
        condition=overview.condition,
        health_reason=overview.health_reason,
        latency_ms=overview.latency_ms,
        last_sync_at=overview.pulled_at,
        listings=overview.listings,
        matched=overview.matched,
        waiting=overview.waiting,
        trouble=overview.trouble,
        inbox=overview.inbox,
        priority=connection.priority,
        buffer=connection.buffer,
        share=connection.share,
        fulfilment_only=connection.fulfilment_only,
        sync_interval_s=connection.sync_interval_s,
        created_at=connection.created_at,
    )


def _manifest(manifest: Manifest) -> ManifestView:
    return ManifestView(
        key=manifest.key,
        title=manifest.title,
        api_version=manifest.api_version,
        capabilities=sorted(manifest.capabilities),
        environments=[each.name for each in manifest.environments],
        fields=[
            FieldView(
                name=each.name, title=each.title, help=each.help, secret=each.secret, required=each.required,
                default=each.default,
            )
            for each in manifest.fields
        ],
    )  # fmt: skip

"""Testing a connection: before it is stored, and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from entrepot.channels import rules
from entrepot.channels.contract import CheckReport
from entrepot.channels.contracts import Connection, ConnectionState, NewConnection
from entrepot.channels.transport import ChannelTransport


@dataclass(frozen=True, slots=True)
class Checked:
    """A test of entered values. `fetched` and `token_expires_at` belong into `connect`: a refresh token that was
    rotated during the test works only in its new form."""

    report: CheckReport
    fetched: Mapping[str, str] = field(repr=False)
    token_expires_at: datetime | None


async def check_new(transport: ChannelTransport, new: NewConnection) -> Checked:
    """Test what a person entered, without storing anything. Raises InvalidFields with a message per field."""
    connector = transport.find_connector(new.channel)
    entered = rules.check_fields(connector.manifest, new.values)
    api, credentials = transport.entered_api(connector, new.environment, entered)
    report = await connector.check(api)
    return Checked(report, credentials.fetched, credentials.expires_at)


async def check_connection(transport: ChannelTransport, connection: Connection) -> CheckReport:
    """Test a stored connection with its stored credentials; one that was ended has none."""
    if connection.state is ConnectionState.DISCONNECTED:
        return CheckReport(False, "This connection was ended: connect the channel again.")
    connector = transport.find_connector(connection.channel)
    return await connector.check(transport.api(connection))

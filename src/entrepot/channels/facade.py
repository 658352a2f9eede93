"""What other rooms call of the channels room."""

from __future__ import annotations

from entrepot.channels.check import Checked, check_connection, check_new
from entrepot.channels.client import TransportSettings
from entrepot.channels.connections import (
    CONNECTIONS_CHANGED,
    Audit,
    ConnectionNotFound,
    NameTaken,
    NoCredentials,
    WrongState,
    add_credentials,
    advance_cursor,
    connect,
    disconnect,
    get,
    get_cursor,
    list_all,
    mark_needs_attention,
    mark_working,
    organisations_with_connections,
    pause,
    replace_credentials,
    resume,
    rotate_vault_key,
    update,
)
from entrepot.channels.health import HealthRecorder, health_history, latest_health
from entrepot.channels.inbox import (
    Inbox,
    InboxSettings,
    counts,
    mark_done,
    mark_failed,
    purge_done,
    replay,
    take_pending,
    webhook_url,
)
from entrepot.channels.rules import InvalidFields
from entrepot.channels.signals import Signals
from entrepot.channels.transport import ChannelApi, ChannelTransport
from entrepot.channels.tries import CallOutcome
from entrepot.channels.vault import Secrets, Vault, new_vault_key, parse_vault_keys

__all__ = [
    "CONNECTIONS_CHANGED",
    "Audit",
    "CallOutcome",
    "ChannelApi",
    "ChannelTransport",
    "Checked",
    "ConnectionNotFound",
    "HealthRecorder",
    "Inbox",
    "InboxSettings",
    "InvalidFields",
    "NameTaken",
    "NoCredentials",
    "Secrets",
    "Signals",
    "TransportSettings",
    "Vault",
    "WrongState",
    "add_credentials",
    "advance_cursor",
    "check_connection",
    "check_new",
    "connect",
    "counts",
    "disconnect",
    "get",
    "get_cursor",
    "health_history",
    "latest_health",
    "list_all",
    "mark_done",
    "mark_failed",
    "mark_needs_attention",
    "mark_working",
    "new_vault_key",
    "organisations_with_connections",
    "parse_vault_keys",
    "pause",
    "purge_done",
    "replace_credentials",
    "replay",
    "resume",
    "rotate_vault_key",
    "take_pending",
    "update",
    "webhook_url",
]

"""What other rooms call of the channels room."""

from __future__ import annotations

from entrepot.channels.check import Checked, check_connection, check_new
from entrepot.channels.connections import (
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
from entrepot.channels.rules import InvalidFields
from entrepot.channels.signals import Signals
from entrepot.channels.transport import CallOutcome, ChannelApi, ChannelTransport, TransportSettings
from entrepot.channels.vault import Secrets, Vault, new_vault_key, parse_vault_keys

__all__ = [
    "Audit",
    "CallOutcome",
    "ChannelApi",
    "ChannelTransport",
    "Checked",
    "ConnectionNotFound",
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
    "disconnect",
    "get",
    "get_cursor",
    "list_all",
    "mark_needs_attention",
    "mark_working",
    "new_vault_key",
    "organisations_with_connections",
    "parse_vault_keys",
    "pause",
    "replace_credentials",
    "resume",
    "rotate_vault_key",
    "update",
]

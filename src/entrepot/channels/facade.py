"""What other rooms call of the channels room."""

from __future__ import annotations

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
from entrepot.channels.vault import Secrets, Vault, new_vault_key, parse_vault_keys

__all__ = [
    "Audit",
    "ConnectionNotFound",
    "InvalidFields",
    "NameTaken",
    "NoCredentials",
    "Secrets",
    "Vault",
    "WrongState",
    "add_credentials",
    "advance_cursor",
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

"""The hub's own secret: what encrypts credentials in the database and signs tokens. It is never in the database."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass

from entrepot.channels.vault import BadVaultKey, new_vault_key, parse_vault_keys
from entrepot.database.embedded_lock import write_private
from entrepot.database.embedded_program import prepare_data_dir
from entrepot.settings import Settings, SettingsNotValid


@dataclass(frozen=True, slots=True, repr=False)
class SecretKeys:
    """The keys by name, and the name of the one that new secrets are encrypted with."""

    keys: dict[str, bytes]
    active: str

    def __repr__(self) -> str:
        """Name the keys without showing them."""
        return f"SecretKeys({', '.join(self.keys)})"

    @property
    def newest(self) -> bytes:
        """The active key."""
        return self.keys[self.active]


def secret_keys(settings: Settings) -> SecretKeys:
    """Return the keys of ENTREPOT_SECRET_KEY, else of data_dir/secret.key, which is made at the first start.

    Written as base64, or as `name:base64,name:base64`: the first one encrypts, all of them decrypt, so that a key is
    changed by putting a new one in front. Raises SettingsNotValid.
    """
    text, where = settings.secret_key, "ENTREPOT_SECRET_KEY"
    if text is None:
        path = prepare_data_dir(settings.data_dir) / "secret.key"
        where = str(path)
        if not path.exists():
            write_private(path, f"first:{base64.b64encode(new_vault_key()).decode()}\n")
        if path.stat().st_mode & 0o077 and path.stat().st_uid == os.geteuid():
            path.chmod(0o600)
        text = path.read_text()
    entries = [entry.strip() for entry in text.strip().split(",")]
    named = [entry if ":" in entry else f"key{number}:{entry}" for number, entry in enumerate(entries, 1)]
    try:
        keys = parse_vault_keys(",".join(named))
    except BadVaultKey as error:
        raise SettingsNotValid(f"{where}: {error.detail}") from None
    for name, key in keys.items():
        if len(key) != 32:
            raise SettingsNotValid(f"{where}: the key {name!r} is {len(key)} bytes long, not 32.")
    return SecretKeys(keys, next(iter(keys)))

"""The vault opens what it sealed, for the same connection only, and says plainly why it does not."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.channels.vault import (
    BadVaultKey,
    CannotUnseal,
    Sealed,
    Secrets,
    UnknownVaultKey,
    Vault,
    new_vault_key,
    parse_vault_keys,
)
from entrepot.kernel.ids import new_id

ORGANISATION, CONNECTION = new_id(), new_id()
KEY = new_vault_key()


@given(st.dictionaries(st.text(), st.text(), max_size=5))
def test_opens_what_it_sealed(values: dict[str, str]) -> None:
    vault = Vault({"a": KEY}, "a")
    assert dict(vault.open(ORGANISATION, CONNECTION, vault.seal(ORGANISATION, CONNECTION, values))) == values


def test_the_same_secrets_never_look_the_same() -> None:
    vault = Vault({"a": KEY}, "a")
    assert (
        vault.seal(ORGANISATION, CONNECTION, {"x": "y"}).data != vault.seal(ORGANISATION, CONNECTION, {"x": "y"}).data
    )


def test_does_not_open_for_another_connection_or_organisation() -> None:
    vault = Vault({"a": KEY}, "a")
    sealed = vault.seal(ORGANISATION, CONNECTION, {"token": "t"})
    with pytest.raises(CannotUnseal):
        vault.open(ORGANISATION, new_id(), sealed)
    with pytest.raises(CannotUnseal):
        vault.open(new_id(), CONNECTION, sealed)


@given(st.integers(min_value=0, max_value=40), st.integers(min_value=1, max_value=255))
def test_a_changed_byte_is_noticed(position: int, flip: int) -> None:
    vault = Vault({"a": KEY}, "a")
    data = bytearray(vault.seal(ORGANISATION, CONNECTION, {"token": "0123456789abcdef"}).data)
    data[position] ^= flip
    with pytest.raises(CannotUnseal):
        vault.open(ORGANISATION, CONNECTION, Sealed("a", bytes(data)))


@pytest.mark.parametrize("data", [b"", b"short", b"x" * 12, b"x" * 20])
def test_too_few_bytes_are_noticed(data: bytes) -> None:
    with pytest.raises(CannotUnseal):
        Vault({"a": KEY}, "a").open(ORGANISATION, CONNECTION, Sealed("a", data))


def test_old_keys_still_open_after_a_rotation() -> None:
    sealed = Vault({"a": KEY}, "a").seal(ORGANISATION, CONNECTION, {"token": "t"})
    both = Vault({"a": KEY, "b": new_vault_key()}, "b")
    assert both.open(ORGANISATION, CONNECTION, sealed)["token"] == "t"
    assert both.seal(ORGANISATION, CONNECTION, {"token": "t"}).key_id == "b"


def test_says_when_a_key_is_missing_or_wrong() -> None:
    sealed = Vault({"a": KEY}, "a").seal(ORGANISATION, CONNECTION, {"token": "t"})
    with pytest.raises(UnknownVaultKey):
        Vault({"b": KEY}, "b").open(ORGANISATION, CONNECTION, sealed)
    with pytest.raises(CannotUnseal):
        Vault({"a": new_vault_key()}, "a").open(ORGANISATION, CONNECTION, sealed)


def test_refuses_bad_keys() -> None:
    for keys, active in (({"a": b"short"}, "a"), ({"a": KEY}, "b"), ({}, "a")):
        with pytest.raises(BadVaultKey):
            Vault(keys, active)
    with pytest.raises(BadVaultKey):
        parse_vault_keys("a:not base64!")


def test_reads_keys_from_a_setting() -> None:
    text = f"a:{base64.b64encode(KEY).decode()}, b:{base64.b64encode(b'0' * 32).decode()}"
    assert parse_vault_keys(text) == {"a": KEY, "b": b"0" * 32}


def test_shows_no_secret() -> None:
    secrets = Secrets({"token": "hush"}).merged({"other": "quiet"})
    shown = f"{secrets!r} {secrets} {Vault({'a': KEY}, 'a')!r}"
    assert "hush" not in shown
    assert "quiet" not in shown
    assert secrets["other"] == "quiet"

"""Settings from environment and file, with errors that say where, and the list that the documentation shows."""

from __future__ import annotations

import base64
import re
from decimal import Decimal
from pathlib import Path

import pytest

from entrepot.app import connection_defaults, sync_settings, transport_settings
from entrepot.channels.client import TransportSettings
from entrepot.channels.contracts import ConnectionDefaults
from entrepot.secret_key import secret_keys
from entrepot.settings import PlatformSettings, Settings, SettingsNotValid, load, reference_page
from entrepot.settings.fields import fields_of
from entrepot.settings.sections import SECTIONS

CLIENTS_FILE = """\
platforms:
  shopify: {priority: 80, primary: true, sync_frequency: 5min, inventory_allocation: 40%, fulfillment_only: false}
  printful: {fulfillment_only: true, priority: 7}
inventory:
  low_stock_threshold: 5
  auto_reorder: true
  overselling_protection: true
  reservation_timeout: 20min
sync: {retry_attempts: 4, retry_backoff: 2s, batch_size: 50, parallel_syncs: 3}
error_handling: {alert_threshold: 9, alert_channels: [email, log, "https://chat.example/hook?a=b"], auto_recovery: true}
"""


def write(folder: Path, text: str) -> dict[str, str]:
    path = folder / "hub.yaml"
    path.write_text(text)
    return {"ENTREPOT_CONFIG": str(path)}


def test_a_client_file_with_every_known_word_loads_and_says_what_has_no_effect(tmp_path: Path) -> None:
    settings = load(write(tmp_path, CLIENTS_FILE))
    assert settings.inventory.reservation_timeout_s == 1200
    assert settings.sync.batch_size == 50
    assert settings.platforms["shopify"].inventory_allocation == 0.4
    assert settings.platforms["shopify"].sync_frequency_s == 300
    assert [each.split(" (")[0] for each in settings.without_effect] == ["error_handling.alert_channels: email"]
    limits = sync_settings(settings)
    assert (limits.parallel_syncs, limits.alert_threshold, limits.auto_recovery) == (3, 9, True)
    assert limits.alert_channels == ("log", "https://chat.example/hook?a=b")


def test_environment_wins_over_the_file_and_the_command_line_over_both(tmp_path: Path) -> None:
    env = {**write(tmp_path, "port: 8100\nhost: 0.0.0.0\n"), "ENTREPOT_PORT": "8200", "DATABASE_URL": ""}
    assert load(env).port == 8200
    assert load(env, port=8300, demo=False).port == 8300
    assert load(env, demo=False).demo.enabled is False
    assert load(env).database_url is None
    assert load(env).address == "http://127.0.0.1:8200"
    assert load({}) == Settings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("port: 8000\nsync:\n  batch_size: 0\n", "hub.yaml, line 3, sync.batch_size: 0 is too small, the least is 1."),
        ("inventory: {reservation_timeout: soon}", "line 1, inventory.reservation_timeout: 'soon' is not a duration"),
        ("sync: {retries: 3}", "line 1, sync.retries: there is no such setting (known: batch_size"),
        ("platforms:\n  shopify:\n    inventory_allocation: 140%\n", "line 3, platforms.shopify.inventory_allocation"),
        ("colour: red", "line 1, colour: there is no such setting"),
        ("port: [", "line 1: this is not YAML"),
        ("- port", "line 1, the file: must be a section with keys"),
        ("database_url: mysql://x/y", "line 1, database_url: must look like postgresql://"),
        ("platforms: {shopify: {priority: 2000}}", "line 1, platforms.shopify.priority: 2000 must be from 0 to 1000"),
        ("platforms: {a: {primary: yes}, b: {primary: yes}}", "platforms: only one can be primary, not a and b"),
        ("demo: {orders_per_s: .nan}", "line 1, demo.orders_per_s: nan is not a number"),
    ],
)
def test_a_wrong_value_is_named_with_file_line_and_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsNotValid) as caught:
        load(write(tmp_path, text))
    assert said in caught.value.detail


def test_a_wrong_variable_is_named_and_its_password_is_not_shown() -> None:
    with pytest.raises(SettingsNotValid, match=r"^The environment variable ENTREPOT_PORT: 70000 is not a port"):
        load({"ENTREPOT_PORT": "70000"})
    with pytest.raises(SettingsNotValid) as caught:
        load({"DATABASE_URL": "mysql://me:hush@host/db"})
    assert "hush" not in caught.value.detail


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsNotValid, match="cannot be read"):
        load({"ENTREPOT_CONFIG": str(tmp_path / "none.yaml")})


def test_the_documentation_lists_exactly_the_settings() -> None:
    page = Path(__file__).parents[1] / "docs" / "reference" / "settings.md"
    assert page.read_text() == reference_page(), (
        "make it anew: python -m entrepot.settings > docs/reference/settings.md"
    )


def test_every_setting_is_read_somewhere() -> None:
    root = Path(__file__).parents[1] / "src" / "entrepot"
    code = "\n".join(file.read_text() for file in root.rglob("*.py") if file.parent != root / "settings")
    unread = []
    for section, kind in {"": Settings, **SECTIONS, "platform": PlatformSettings}.items():
        for item in fields_of(kind):
            read = re.search(rf"\b{section or 'settings'}\.{item.name}\b", code) is not None
            read |= item.name == "public_url" and "settings.address" in code  # the property that reads it
            if not read:
                unread.append((section, item.name))
    assert unread == []


def test_new_connections_start_as_the_file_says(tmp_path: Path) -> None:
    settings = load(write(tmp_path, CLIENTS_FILE))
    assert connection_defaults(settings, "shopify") == ConnectionDefaults(300, Decimal("0.4"), False, 0)
    assert connection_defaults(settings, "printful") == ConnectionDefaults(60, None, True, 7)
    assert connection_defaults(Settings(), "amazon") == ConnectionDefaults(60, None, False, 50)


def test_calls_are_tried_as_the_file_says(tmp_path: Path) -> None:
    limits = transport_settings(load(write(tmp_path, "sync: {retry_attempts: 7, retry_backoff: 9s, call_timeout: 3s}")))
    assert (limits.tries, limits.backoff_first_s, limits.backoff_max_s, limits.read_timeout_s) == (7, 9.0, 9.0, 3.0)
    assert transport_settings(Settings()) == TransportSettings()


def test_the_secret_key_is_made_once_and_private(tmp_path: Path) -> None:
    settings = load({"ENTREPOT_DATA_DIR": str(tmp_path / "hub")})
    first = secret_keys(settings)
    assert secret_keys(settings).newest == first.newest
    assert (tmp_path / "hub" / "secret.key").stat().st_mode & 0o777 == 0o600
    assert base64.b64encode(first.newest).decode() not in repr(first)


def test_a_new_secret_key_in_front_keeps_the_old_one_readable() -> None:
    old, new = base64.b64encode(b"o" * 32).decode(), base64.b64encode(b"n" * 32).decode()
    keys = secret_keys(load({"ENTREPOT_SECRET_KEY": f"2027:{new},first:{old}"}))
    assert keys.active == "2027"
    assert keys.keys == {"2027": b"n" * 32, "first": b"o" * 32}
    with pytest.raises(SettingsNotValid, match=r"ENTREPOT_SECRET_KEY: .* 3 bytes long, not 32"):
        secret_keys(load({"ENTREPOT_SECRET_KEY": base64.b64encode(b"abc").decode()}))

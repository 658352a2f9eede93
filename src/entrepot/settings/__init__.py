"""All settings of the hub, from the environment and one YAML file, checked when it starts.

Each setting is one field in `sections.py` with its meaning beside it; `docs/reference/settings.md` is made from it
(`python -m entrepot.settings`), and a test keeps the two equal. The environment wins over the file.
"""

from __future__ import annotations

from entrepot.settings.loading import SettingsNotValid, load
from entrepot.settings.reference import SettingDoc, all_settings, reference_page
from entrepot.settings.sections import PlatformSettings, Settings

__all__ = ["PlatformSettings", "SettingDoc", "Settings", "SettingsNotValid", "all_settings", "load", "reference_page"]

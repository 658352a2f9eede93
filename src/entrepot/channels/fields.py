"""Reading fields out of a channel's JSON. Pure; UnexpectedAnswer, with the channel's name, where its documentation is broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from entrepot.channels.contract import Payload, Reply, UnexpectedAnswer
from entrepot.channels.replies import json_of


@dataclass(frozen=True, slots=True)
class Fields:
    """Readers of one channel's JSON."""

    channel: str
    """Its name in errors, such as Amazon."""

    def body_of(self, reply: Reply) -> Mapping[str, Any]:
        """Return the answer's body, which is always an object."""
        body = json_of(reply)
        if not isinstance(body, dict):
            raise UnexpectedAnswer(f"{self.channel}'s answer is not an object")
        return body

    def text(self, payload: Payload, name: str) -> str:
        """Return a text field that must be there."""
        value = payload.get(name)
        if not isinstance(value, str) or not value:
            raise UnexpectedAnswer(f"{self.channel}'s answer lacks the text field {name!r}")
        return value

    def optional_text(self, payload: Payload, name: str) -> str:
        """Return a text field, or empty text."""
        value = payload.get(name)
        return value if isinstance(value, str) else ""

    def whole(self, payload: Payload, name: str) -> int | None:
        """Return a whole number, None where it is absent or null."""
        value = payload.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise UnexpectedAnswer(f"{self.channel}'s field {name!r} is not a whole number")
        return value

    def objects(self, payload: Payload, name: str) -> list[Mapping[str, Any]]:
        """Return a list of objects, empty where it is absent or null."""
        value = payload.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise UnexpectedAnswer(f"{self.channel}'s field {name!r} is not a list of objects")
        return value

    def inner(self, payload: Payload, name: str) -> Mapping[str, Any]:
        """Return an object field, empty where it is absent or null."""
        value = payload.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise UnexpectedAnswer(f"{self.channel}'s field {name!r} is not an object")
        return value

"""A connection whose transport is a script: it records every call and gives the answers written for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from entrepot.channels.contract import Call, Connector, Reply

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
"""The moment at which scripted calls are signed."""

DATE = "Fri, 20 Nov 2026 12:00:00 GMT"

Answer = Reply | Exception | Callable[[Call], Reply]
"""What a call gets: an answer, an error of the transport (OutcomeUnknown), or a rule that makes the answer."""


def reply(body: Any, status: int = 200, **headers: str) -> Reply:
    """Return an answer: bytes as they are, anything else as JSON. Header names: `retry_after` is `retry-after`."""
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    return Reply(status, {"date": DATE, "content-type": "application/json", **named}, raw)


class ScriptedApi:
    """Stands where the hub's transport stands: authorises, checks, answers, classifies; sends nothing."""

    def __init__(
        self,
        connector: Connector,
        answers: Sequence[Answer],
        *,
        settings: Mapping[str, str],
        credentials: Mapping[str, str],
        check_call: Callable[[Call], None] | None = None,
        repeat_last: bool = False,
    ) -> None:
        self._connector, self._settings, self._credentials = connector, settings, credentials
        self._answers, self._check, self._repeat_last = list(answers), check_call, repeat_last
        self.calls: list[Call] = []
        self.authorised: list[Call] = []

    @property
    def settings(self) -> Mapping[str, str]:
        return self._settings

    @property
    def unused(self) -> int:
        """How many answers nobody asked for."""
        return len(self._answers)

    async def send(self, call: Call) -> Reply:
        self.calls.append(call)
        self.authorised.append(self._connector.authorise(call, self._credentials, AT))
        if self._check is not None and call.absolute_url is None:
            self._check(self.authorised[-1])
        assert self._answers, f"an unexpected call: {call.operation} {call.method} {call.path}"
        answer = self._answers[0] if self._repeat_last and len(self._answers) == 1 else self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        answered = answer if isinstance(answer, Reply) else answer(call)
        error = self._connector.classify(answered)
        if error is not None:
            raise error
        return answered

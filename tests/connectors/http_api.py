"""A connection over real HTTP without the hub: for running a connector against a simulated marketplace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType

import httpx

from entrepot.channels.contract import Call, Connector, OutcomeUnknown, Reply, TemporarilyUnavailable


class HttpApi:
    """Signs, sends once, classifies. No retries, no limits. `checks` see every call and its answer."""

    def __init__(
        self,
        connector: Connector,
        *,
        settings: Mapping[str, str],
        credentials: Mapping[str, str],
        environment: str = "simulated",
        checks: tuple[Callable[[Call, Reply], None], ...] = (),
    ) -> None:
        manifest = connector.manifest
        defaults = {f.name: f.default for f in manifest.fields if not f.secret and f.default}
        self._connector, self._settings = connector, {**defaults, **settings}
        self.credentials, self._checks = dict(credentials), checks
        urls = next(e.base_urls for e in manifest.environments if e.name == environment)
        self._bases = {name: url.format_map(self._settings) for name, url in urls.items()}
        self._client = httpx.AsyncClient(timeout=30, trust_env=False)
        self.calls: list[Call] = []

    @property
    def settings(self) -> Mapping[str, str]:
        return self._settings

    async def send(self, call: Call) -> Reply:
        self.calls.append(call)
        signed = self._connector.authorise(call, self.credentials, datetime.now(UTC))
        url = signed.absolute_url or self._bases[signed.base] + signed.path
        try:
            answer = await self._client.request(
                signed.method,
                url,
                params=list(signed.query) or None,
                headers=dict(signed.headers),
                content=signed.body,
            )
        except httpx.TransportError as error:
            lost = TemporarilyUnavailable if call.idempotent else OutcomeUnknown
            raise lost(type(error).__name__) from error
        reply = Reply(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.content)
        for check in self._checks:
            check(signed, reply)
        error_meant = self._connector.classify(reply)
        if error_meant is not None:
            raise error_meant
        return reply

    async def __aenter__(self) -> HttpApi:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

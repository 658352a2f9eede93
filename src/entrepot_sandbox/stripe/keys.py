"""API keys with their permissions, and the answers kept under Idempotency-Keys."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from entrepot_sandbox.stripe.answers import Ids, StripeError

KEPT_FOR_S = 86_400
KEY_LENGTH_MAX = 255


class ApiKeys:
    """The account's keys: one that may do all, and restricted ones."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self.full = ids.new("sk_test", 48)
        self._may: dict[str, frozenset[str] | None] = {self.full: None}

    def restricted(self, permissions: frozenset[str]) -> str:
        """Make a key that has only these permissions, such as `charge_write`; who may write may read."""
        key = self._ids.new("rk_test", 48)
        self._may[key] = permissions
        return key

    def admit(self, request: Request, permission: str) -> None:
        """Check the key of a request. Raises StripeError."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or key not in self._may:
            shown = f"{key[:8]}****{key[-4:]}" if key else ""
            raise StripeError(401, f"Invalid API Key provided: {shown}")
        may = self._may[key]
        resource, _, kind = permission.rpartition("_")
        if may is None or permission in may or (kind == "read" and f"{resource}_write" in may):
            return
        raise StripeError(
            403,
            f"The provided key '{key[:8]}****{key[-4:]}' does not have the required permissions for this endpoint on account "
            f"'acct_simulated'. Having the 'rak_{permission}' permission would allow this request to continue.",
        )


class KeptAnswers:
    """Answers by Idempotency-Key, for a day: the same request gets the same answer, another one is refused."""

    def __init__(self, monotonic: Callable[[], float], scaled: Callable[[float], float]) -> None:
        self._monotonic, self._kept_s = monotonic, scaled(KEPT_FOR_S)
        self._kept: dict[str, tuple[float, str, bytes, int, bytes]] = {}

    def earlier(self, key: str, what: str, body: bytes) -> Response | None:
        """Return the answer given before under this key, or None. Raises StripeError for another request."""
        if len(key) > KEY_LENGTH_MAX:
            raise StripeError(400, "Idempotency keys are at most 255 characters.", kind="idempotency_error")
        found = self._kept.get(key)
        if found is None or self._monotonic() - found[0] > self._kept_s:
            return None
        if found[1:3] != (what, body):
            words = f"Keys for idempotent requests can only be used with the same parameters they were first used with. {key}"
            raise StripeError(400, words, kind="idempotency_error")
        headers = {"idempotent-replayed": "true", "idempotency-key": key}
        return Response(found[4], found[3], headers, media_type="application/json")

    def keep(self, key: str, what: str, body: bytes, answer: Response) -> None:
        """Keep an answer."""
        self._kept[key] = (self._monotonic(), what, body, answer.status_code, bytes(answer.body))

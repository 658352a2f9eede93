"""The errors of a channel: the hub catches these, nothing else."""

from __future__ import annotations

from datetime import datetime


class ConnectorError(Exception):
    """The channel did not do what was asked."""

    def __init__(self, detail: str = "", *, code: str = "") -> None:
        self.detail = detail or (type(self).__doc__ or "").strip().splitlines()[0]
        self.code = code
        super().__init__(self.detail)


class TemporarilyUnavailable(ConnectorError):
    """The channel does not answer properly at the moment."""

    def __init__(self, detail: str = "", *, code: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(detail, code=code)
        self.retry_after_s = retry_after_s


class OutcomeUnknown(TemporarilyUnavailable):
    """The answer was lost: the channel may or may not have done it."""


class TooLate(TemporarilyUnavailable):
    """The call was not sent: what it writes rests on a reading that is too old by now."""

    CODE = "too_late"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail, code=self.CODE)


class RateLimited(TemporarilyUnavailable):
    """The channel asks us to slow down."""


class QuotaExhausted(ConnectorError):
    """The channel's quota is used up until it is back."""

    def __init__(self, detail: str = "", *, code: str = "", back_at: datetime | None = None) -> None:
        super().__init__(detail, code=code)
        self.back_at = back_at


class CredentialsRejected(ConnectorError):
    """The channel refuses our credentials: connect it again."""


class RequestRejected(ConnectorError):
    """The channel refuses this request; sending it again cannot help."""


class UnexpectedAnswer(ConnectorError):
    """The channel's answer is not what its documentation says."""

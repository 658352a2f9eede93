"""Alerts: people are told when work with a connection has failed several times in a row, and when it works again.

An alert is a queued job of the transaction that notes the failure, so that it is neither lost nor told for what was rolled back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import httpx
import structlog

from entrepot.database.pool import Tx
from entrepot.jobs import facade as jobs
from entrepot.jobs.facade import JobKind, JobRun
from entrepot.kernel.errors import EntrepotError

log = structlog.get_logger(__name__)

LOG = "log"
POST_TIMEOUT_S = 10.0
WORK = {
    "pull": "fetching orders", "inbox": "taking deliveries in", "push": "writing quantities", "check": "reading quantities",
    "listings": "reading listings", "ship": "telling parcels",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Alert:
    """What is told. `problem` empty: it works again. `work`: the kind of lane."""

    connection_id: str
    connection: str
    work: str
    failures: int
    problem: str
    to: str = ""
    """Which address it goes to, as `name_of` it: addresses often hold a secret, so they stay in the settings."""

    @property
    def text(self) -> str:
        """The alert as a sentence."""
        work = WORK.get(self.work, self.work)
        if not self.problem:
            return f"{self.connection}: {work} works again after {self.failures} failures."
        return f"{self.connection}: {work} failed {self.failures} times in a row. {self.problem}"


class AlertNotTaken(EntrepotError):
    """The address for alerts did not take one."""


ALERT = JobKind("alert", "Alert", Alert)


def name_of(address: str) -> str:
    """Return what stands for an address in the database."""
    return sha256(address.encode()).hexdigest()[:16]


async def tell(tx: Tx, alert: Alert, alert_channels: Sequence[str]) -> None:
    """Tell people with this transaction: in the log, and by a job for each address."""
    for where in alert_channels:
        if where == LOG:
            log.error("connection_alert", connection_id=alert.connection_id, text=alert.text)
        else:
            await jobs.enqueue(tx, ALERT, replace(alert, to=name_of(where)), actor="Entrepot")


async def send_alert(run: JobRun[Alert], alert_channels: Sequence[str]) -> Mapping[str, Any]:
    """Do the job: POST the alert as JSON, its sentence under `text` as chat services take it.

    An answer other than 2xx fails the job, which is tried again and then held, to be seen among the jobs.
    """
    alert = run.payload
    address = next((each for each in alert_channels if name_of(each) == alert.to), None)
    if address is None:
        return {"sent": False, "reason": "The address is no longer in error_handling.alert_channels."}
    body = {
        "text": alert.text, "connection": alert.connection, "connectionId": alert.connection_id, "work": alert.work,
        "failures": alert.failures, "problem": alert.problem,
    }  # fmt: skip
    async with httpx.AsyncClient(timeout=POST_TIMEOUT_S, follow_redirects=False, trust_env=False) as client:
        answer = await client.post(address, json=body)
    if not answer.is_success:
        raise AlertNotTaken(f"The address for alerts answered {answer.status_code}.")
    return {"sent": True}

"""Tokens, rates, and the seller."""

from __future__ import annotations

import pytest
from tests.sandbox.amazon.conftest import SCALE, Check, Client


async def test_a_token_is_had_for_the_refresh_token(client: Client) -> None:
    given = {"grant_type": "refresh_token", **client.market.accounts()[0].credentials}
    answer = await client.http.post("/amazon/auth/o2/token", data=given)
    assert answer.status_code == 200
    assert answer.json()["expires_in"] == 3600
    assert answer.json()["token_type"] == "bearer"


@pytest.mark.parametrize(
    ("wrong", "status", "error"),
    [
        ({"refresh_token": "Atzr|no"}, 400, "invalid_grant"),
        ({"client_secret": "no"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
async def test_token_errors(client: Client, wrong: dict[str, str], status: int, error: str) -> None:
    given = {"grant_type": "refresh_token", **client.market.accounts()[0].credentials, **wrong}
    answer = await client.http.post("/amazon/auth/o2/token", data=given)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


@pytest.mark.parametrize("token", ["", "Atza|no"])
async def test_without_a_living_token_is_403(client: Client, official: Check, token: str) -> None:
    answer = await client.http.get(
        "/amazon/sellers/v1/marketplaceParticipations", headers={"x-amz-access-token": token}
    )
    assert answer.status_code == 403
    assert answer.json()["errors"][0]["code"] == "Unauthorized"
    official("sellers.json", "GetMarketplaceParticipationsResponse", answer.json())


async def test_an_expired_token_is_refused(client: Client) -> None:
    token = client.http.headers["x-amz-access-token"]
    client.market.state.tokens[token] = 0.0
    answer = await client.http.get("/amazon/sellers/v1/marketplaceParticipations")
    assert "expired" in answer.json()["errors"][0]["details"]


async def test_the_seller_and_the_scaled_rate(client: Client, official: Check) -> None:
    answer = await client.http.get("/amazon/sellers/v1/marketplaceParticipations")
    assert answer.json()["payload"][0]["marketplace"]["id"] == client.place
    official("sellers.json", "GetMarketplaceParticipationsResponse", answer.json())
    assert float(answer.headers["x-amzn-ratelimit-limit"]) == 0.016 * SCALE


async def test_beyond_the_burst_is_429(slow_client: Client, official: Check) -> None:
    bucket = slow_client.market.state.buckets["searchOrders"]
    bucket.take(bucket.available)
    answer = await slow_client.http.get(
        "/amazon/orders/2026-01-01/orders", params={"lastUpdatedAfter": "2020-01-01T00:00:00Z"}
    )
    assert answer.status_code == 429
    assert answer.json()["errors"][0]["code"] == "QuotaExceeded"
    assert answer.headers["x-amzn-ratelimit-limit"] == "0.0056"
    official("orders_2026-01-01.json", "ErrorList", answer.json())

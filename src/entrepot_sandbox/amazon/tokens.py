"""Login with Amazon: access tokens of an hour for a refresh token."""

from __future__ import annotations

from urllib.parse import parse_qs

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from entrepot_sandbox.amazon.answers import json_answer
from entrepot_sandbox.amazon.state import TOKEN_S, State


async def token(state: State, request: Request) -> Response:
    """POST /auth/o2/token."""
    given = _parameters(request.headers.get("content-type", ""), await request.body())
    if given.get("grant_type") != "refresh_token":
        return _error(400, "unsupported_grant_type", "The authorization grant type is not supported")
    if given.get("client_id") != state.client_id or given.get("client_secret") != state.client_secret:
        return _error(401, "invalid_client", "Client authentication failed")
    if given.get("refresh_token") != state.refresh_token:
        return _error(400, "invalid_grant", "The request has an invalid grant parameter : refresh_token")
    now = state.desk.world.clock.monotonic()
    for old in [old for old, ends in state.tokens.items() if ends <= now]:
        del state.tokens[old]
    chance = state.desk.random(f"token/{state.next_id('token')}")
    access_token = f"Atza|{chance.getrandbits(512):0128x}"
    state.tokens[access_token] = now + TOKEN_S
    return json_answer(
        {
            "access_token": access_token,
            "refresh_token": state.refresh_token,
            "token_type": "bearer",
            "expires_in": TOKEN_S,
        },
        headers={"Cache-Control": "no-store"},
    )


def _parameters(content_type: str, body: bytes) -> dict[str, str]:
    if content_type.startswith("application/json"):
        try:
            given = msgspec.json.decode(body)
        except msgspec.DecodeError:
            return {}
        return {str(key): str(value) for key, value in given.items()} if isinstance(given, dict) else {}
    return {key: values[0] for key, values in parse_qs(body.decode("utf-8", "replace")).items()}


def _error(status: int, error: str, description: str) -> Response:
    return json_answer({"error": error, "error_description": description}, status)

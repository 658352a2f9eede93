"""eBay's token service: consent, codes, tokens of the seller and of the application."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import parse_qs, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from entrepot_sandbox.ebay.answers import json_answer
from entrepot_sandbox.ebay.state import APPLICATION, CODE_S, TOKEN_S, USER, State

REFRESH_S = 47_304_000


async def consent(state: State, request: Request) -> Response:
    """GET /oauth2/authorize: the seller agrees at once and is led on with a code that works once."""
    given = request.query_params
    if (
        given.get("client_id") != state.client_id
        or given.get("response_type") != "code"
        or not given.get("redirect_uri")
    ):
        return _error(400, "invalid_request", "client_id, redirect_uri and response_type=code are required")
    code = f"v^1.1#i^1#c^{state.next_id('code')}#{state.desk.random('codes').getrandbits(128):032x}"
    state.codes[code] = state.desk.world.clock.monotonic() + CODE_S
    told = {"code": code, "expires_in": str(CODE_S)}
    if given.get("state"):
        told["state"] = given["state"]
    return RedirectResponse(f"https://signin.example/{given['redirect_uri']}?{urlencode(told)}", 302)


async def token(state: State, request: Request) -> Response:
    """POST /identity/v1/oauth2/token."""
    if not _is_application(state, request.headers.get("authorization", "")):
        return _error(401, "invalid_client", "client authentication failed")
    given = {name: values[0] for name, values in parse_qs((await request.body()).decode("utf-8", "replace")).items()}
    grant = given.get("grant_type")
    if grant == "client_credentials":
        return _granted(state, APPLICATION, {})
    if grant == "refresh_token":
        if given.get("refresh_token") != state.refresh_token:
            return _error(
                400,
                "invalid_grant",
                "the provided authorization refresh token is invalid or was issued to another client",
            )
        return _granted(state, USER, {})
    if grant == "authorization_code":
        ends = state.codes.pop(given.get("code", ""), 0.0)
        if state.desk.world.clock.monotonic() >= ends or not given.get("redirect_uri"):
            return _error(
                400, "invalid_grant", "the provided authorization grant code is invalid or was issued to another client"
            )
        return _granted(state, USER, {"refresh_token": state.refresh_token, "refresh_token_expires_in": REFRESH_S})
    return _error(400, "unsupported_grant_type", "grant type in request is not supported by the authorization server")


def _granted(state: State, kind: str, more: dict[str, object]) -> Response:
    now = state.desk.world.clock.monotonic()
    for old in [old for old, (_, ends) in state.tokens.items() if ends <= now]:
        del state.tokens[old]
    secret = state.desk.random(f"token/{state.next_id('token')}").getrandbits(512)
    access = f"v^1.1#i^1#{kind}#{secret:0128x}"
    state.tokens[access] = (kind, now + TOKEN_S)
    told = "User Access Token" if kind == USER else "Application Access Token"
    return json_answer({"access_token": access, "expires_in": TOKEN_S, "token_type": told, **more})


def _is_application(state: State, given: str) -> bool:
    try:
        pair = base64.b64decode(given.removeprefix("Basic "), validate=True).decode()
    except (binascii.Error, ValueError):
        return False
    return pair == f"{state.client_id}:{state.client_secret}"


def _error(status: int, code: str, description: str) -> Response:
    return json_answer({"error": code, "error_description": description}, status)

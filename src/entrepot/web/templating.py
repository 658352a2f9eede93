"""Templates and the filters that they write numbers, money and times with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import jinja2
from markupsafe import Markup, escape

from entrepot.kernel.clock import utc_now
from entrepot.web import formats
from entrepot.web.assets import TEMPLATES, ensure_htmx, static_url


def environment() -> jinja2.Environment:
    """Return the environment of all pages: escaping everywhere, unknown names are errors."""
    ensure_htmx()
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(
        number=formats.number,
        signed=formats.signed,
        money=formats.money,
        plain_amount=formats.plain_amount,
        short=formats.short,
        word=formats.word,
        tone=formats.tone,
        every=formats.every,
        rhythm=formats.rhythm,
        figure=formats.figure,
        ago=_ago,
        moment=_moment,
    )
    made.globals.update(static=static_url, badge=badge, query=query, now=utc_now, duration=formats.duration)
    return made


def badge(code: str, live: str = "", label: str | None = None) -> Markup:
    """Return the badge of a state; `live` is the key that patches it."""
    key = Markup(' data-live="{}"').format(live) if live else ""
    return Markup('<span class="badge" data-tone="{}"{}>{}</span>').format(
        formats.tone(code), key, formats.word(code) if label is None else label
    )


def query(path: str, **parameters: Any) -> str:
    """Return the path with the parameters that are not empty."""
    chosen = {name: str(value) for name, value in parameters.items() if value not in (None, "", False)}
    return f"{path}?{urlencode(chosen)}" if chosen else path


def _ago(at: datetime | None, live: str = "") -> Markup:
    if at is None:
        key = Markup(' data-live="{}"').format(live) if live else ""
        return Markup("<time data-ago{}>never</time>").format(key)
    key = Markup(' data-live="{}"').format(live) if live else ""
    return Markup('<time data-ago datetime="{}" title="{}"{}>{}</time>').format(
        at.isoformat(), f"{at:%Y-%m-%d %H:%M:%S} UTC", key, formats.ago(at, utc_now())
    )


@jinja2.pass_context
def _moment(context: jinja2.runtime.Context, at: datetime | None) -> Markup:
    if at is None:
        return escape(formats.NONE)
    where = context.get("zone") or formats.zone("UTC")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.isoformat(), f"{at:%Y-%m-%d %H:%M:%S} UTC", formats.moment(at, where, utc_now())
    )


def render(templates: jinja2.Environment, name: str, context: Mapping[str, Any]) -> str:
    """Return a rendered template."""
    return templates.get_template(name).render(**context)

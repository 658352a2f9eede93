"""The page of conflicts over HTTP, without scripts: looking, deciding, undoing, policies."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest
from tests.web.fill_conflicts import add_conflicts
from tests.web.server import Site

from entrepot.sync.fields import troubles


@pytest.fixture
def site(database_url: str) -> Iterator[Site]:
    site = Site(database_url).start()
    assert site.database
    assert site.organisation_id
    assert site.filled
    site.run(add_conflicts(site.database, site.organisation_id, site.filled))
    yield site
    site.stop()


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.url, timeout=60, follow_redirects=True) as client:
        client.get(site.link())
        yield client


def post(client: httpx.Client, path: str, **form: object) -> httpx.Response:
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/settings").text)
    assert token
    return client.post(path, data={"csrf_token": token[1], **{key: str(value) for key, value in form.items()}})


def shown(client: httpx.Client, path: str) -> tuple[str, str, str]:
    """Return a page with the id and the version of the conflict that it shows."""
    text = client.get(path).text
    found = re.search(r'action="/conflicts/([0-9a-f-]{36})/resolve', text)
    seen = re.search(r'name="seen" value="([^"]+)"', text)
    assert found, text
    assert seen, text
    return text, found[1], seen[1]


def test_the_riskiest_is_shown_with_both_values(client: httpx.Client) -> None:
    text, _, _ = shown(client, "/conflicts")
    assert "The channel changed it by more than the limit." in text
    assert "Last agreed" in text
    assert "Theirs · Shopify EU" in text
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=", text)
    assert 'data-press="1"' in text
    assert "Decide all" not in text


def test_a_person_picks_a_side_goes_on_and_undoes_it(client: httpx.Client) -> None:
    _, id, seen = shown(client, "/conflicts?kind=content&field=title")
    answer = post(client, f"/conflicts/{id}/resolve?kind=content&field=title", side="ours", seen=seen)
    assert answer.status_code == 200
    assert f"undo={id}" in str(answer.url)
    assert "No open conflict of this sort." in answer.text
    assert "Undo" in client.get("/conflicts/decided").text
    assert post(client, f"/conflicts/{id}/undo").status_code == 200
    assert "Undo<span" not in client.get("/conflicts/decided").text
    # What was decided once cannot be decided again, nor undone twice.
    assert post(client, f"/conflicts/{id}/resolve", side="ours", seen=seen).status_code == 409
    assert post(client, f"/conflicts/{id}/undo").status_code == 409


def test_what_changed_meanwhile_is_not_decided(client: httpx.Client) -> None:
    _, id, _ = shown(client, "/conflicts")
    answer = post(client, f"/conflicts/{id}/resolve", side="ours", seen="2030-01-01T00:00:00+00:00")
    assert answer.status_code == 409
    assert "look again" in answer.text


def test_a_value_that_is_none_is_refused_with_words(client: httpx.Client) -> None:
    _, id, seen = shown(client, "/conflicts?kind=price&field=price")
    answer = post(client, f"/conflicts/{id}/resolve", side="value", value="cheap", seen=seen)
    assert answer.status_code == 409
    assert "is not an amount" in answer.text
    assert post(client, f"/conflicts/{id}/resolve", side="neither", seen=seen).status_code == 422


def test_similar_ones_are_decided_alike(client: httpx.Client) -> None:
    rows = list(csv.DictReader(io.StringIO(client.get("/conflicts/export.csv").text)))
    alike = [row for row in rows if (row["field"], row["why"]) == ("price", "never_agreed")]
    alike += [row for row in rows if (row["field"], row["why"]) == ("price", "both_changed")]
    assert len(alike) == 6
    text, id, _ = shown(client, f"/conflicts/{alike[0]['id']}")
    assert "Decide all 6 similar ones so" in text
    answer = post(client, f"/conflicts/{id}/resolve", side="apart", similar="1")
    assert answer.status_code == 200
    left = list(csv.DictReader(io.StringIO(client.get("/conflicts/export.csv").text)))
    assert len(left) == len(rows) - 6


def test_policies_are_previewed_set_and_removed(client: httpx.Client) -> None:
    preview = client.get("/conflicts/policies/preview?field=price&policy=lowest", headers={"HX-Request": "true"}).text
    assert "Nobody has decided a conflict of this field yet" in preview
    assert "it would decide 6" in preview
    assert "0 of 10 decisions" in preview
    assert "No policy is set" in client.get("/conflicts/policies").text
    answer = post(client, "/conflicts/policies", field="price", policy="lowest", flow="both", swing="30")
    assert "The lowest wins" in answer.text
    assert post(client, "/conflicts/policies", field="title", policy="lowest", flow="both").status_code == 409
    assert post(client, "/conflicts/policies", field="price", policy="lowest", swing="lots").status_code == 409
    assert "No policy is set" in post(client, "/conflicts/policies/remove", field="price").text
    assert post(client, "/conflicts/policies/remove", field="price").status_code == 404


def test_without_conflicts_the_page_says_what_would_be_here(database_url: str) -> None:
    site = Site(database_url).start(empty=True)
    try:
        with httpx.Client(base_url=site.url, timeout=60, follow_redirects=True) as client:
            client.get(site.link())
            assert "When you and a channel change the same thing" in client.get("/conflicts").text
            assert "Nothing has been decided yet" in client.get("/conflicts/decided").text
            assert client.get("/conflicts/0190a0a0-0000-7000-8000-000000000000").status_code == 404
            assert client.get("/conflicts?kind=nothing").status_code == 422
            assert client.get("/conflicts/export.csv?state=odd").status_code == 422
    finally:
        site.stop()


def test_stock_that_swung_is_shown_with_the_sum_and_accepted(client: httpx.Client, site: Site) -> None:
    async def swing() -> str:
        assert site.database
        assert site.organisation_id
        async with site.database.transaction(site.organisation_id) as tx:
            row = await tx.fetch_row(
                "select listing_id from listing_quantity where organisation_id = $1 and desired > 2 and state <> 'sending'"
                " order by listing_id limit 1", site.organisation_id,
            )  # fmt: skip
            assert row
            await tx.execute(
                "update listing_quantity set expected = desired, swing_from = desired, swing_to = desired - 2, gap = -2,"
                " gap_at = now(), swing_at = now(), reported = desired - 2 where organisation_id = $1 and listing_id = $2",
                site.organisation_id, row[0],
            )  # fmt: skip
            await troubles.refresh(tx, datetime.now(UTC))
            return str(await tx.fetch_value("select id from conflict where organisation_id = $1 and why = 'stock_swing'",
                                            site.organisation_id))  # fmt: skip

    async def on_hand() -> int:
        assert site.database
        assert site.organisation_id
        async with site.database.transaction(site.organisation_id) as tx:
            found: int = await tx.fetch_value(
                "select sum(l.on_hand) from stock_level l where l.organisation_id = $1 and l.variant_id ="
                " (select variant_id from conflict where organisation_id = $1 and id = $2)", site.organisation_id, UUID(id),
            )  # fmt: skip
            return found

    id = site.run(swing())
    before = site.run(on_hand())
    text, _, seen = shown(client, f"/conflicts/{id}")
    assert "Both changes added: what is to be shown once theirs is accepted" in text
    theirs = re.search(r'<button[^>]*value="theirs"[^>]*>', text)
    assert theirs
    assert "disabled" not in theirs[0]
    assert post(client, f"/conflicts/{id}/resolve", side="theirs", seen=seen).status_code == 200
    assert site.run(on_hand()) == before - 2

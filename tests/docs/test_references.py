"""What the documents point at is there: pages, headings, files, settings, HTTP paths."""

from __future__ import annotations

import re

import pytest
from tests.docs.pages import NAMES, ROOT, code_words, prose

from entrepot.api.contract import PATHS
from entrepot.settings import all_settings

LINK = re.compile(r"\]\(([^)\s]+)\)")
VARIABLE = re.compile(r"\b(?:ENTREPOT_[A-Z_]+|DATABASE_URL)\b")
FILE = re.compile(r"(?:src|tests|docs|benchmarks|requirements|\.ci)/[\w./-]*\w/?")
IN_THE_PACKAGE = re.compile(r"(?:entrepot/)?[a-z_]+/[a-z_/]+\.py")
CALL = re.compile(r"(GET|POST|PUT|PATCH|DELETE) /api(/\S+)")

NOT_SETTINGS = {"ENTREPOT_CONFIG", "ENTREPOT_SPECS", "ENTREPOT_DATA", "ENTREPOT_CHROMIUM"}


def anchors(document: str) -> set[str]:
    """Return the anchors of a page's headings, as they are made where the pages are read."""
    headings = re.findall(r"^#+ (.+)$", prose(ROOT / document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", NAMES)
def test_every_internal_link_leads_somewhere(document: str) -> None:
    for target in LINK.findall(prose(ROOT / document)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = ((ROOT / document).parent / path).resolve() if path else ROOT / document
        assert there.exists(), f"{document} links to {target}"
        assert there.is_relative_to(ROOT), f"{document} links to {target}, outside of the project"
        if anchor:
            assert anchor in anchors(str(there.relative_to(ROOT))), f"{document} links to {target}"


@pytest.mark.parametrize("document", NAMES)
def test_every_file_that_is_named_exists(document: str) -> None:
    package = ROOT / "src" / "entrepot"
    for word in code_words(ROOT / document):
        if FILE.fullmatch(word) and "<" not in word:
            assert (ROOT / word).exists(), f"{document} names {word}"
        elif IN_THE_PACKAGE.fullmatch(word):
            assert (package / word.removeprefix("entrepot/")).exists(), f"{document} names {word}"


@pytest.mark.parametrize("document", NAMES)
def test_every_variable_that_is_named_is_read(document: str) -> None:
    known = {item.env for item in all_settings()} | NOT_SETTINGS
    assert set(VARIABLE.findall((ROOT / document).read_text())) <= known


@pytest.mark.parametrize("document", NAMES)
def test_every_http_path_that_is_named_is_served(document: str) -> None:
    def plain(path: str) -> str:
        return re.sub(r"\{[^}]*\}", "{}", path)

    served = {(path.method, plain(path.path)) for path in PATHS}
    for word in code_words(ROOT / document):
        match = CALL.fullmatch(word)
        if match:
            assert (match[1], plain(match[2])) in served, f"{document} names {word}"


def test_the_references_are_found() -> None:
    words = [word for name in NAMES for word in code_words(ROOT / name)]
    assert sum(1 for word in words if CALL.fullmatch(word)) >= 1
    assert sum(1 for word in words if FILE.fullmatch(word)) >= 3
    assert sum(len(LINK.findall(prose(ROOT / name))) for name in NAMES) >= 10

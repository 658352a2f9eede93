"""How the text of a setting becomes a value, and what is said of one that does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entrepot.settings import values


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (values.duration_s, "15min", 900.0), (values.duration_s, "250ms", 0.25), (values.duration_s, " 2 H ", 7200.0),
        (values.duration_s, 1.5, 1.5), (values.duration_s, "1d", 86400.0), (values.share(1), "40%", 0.4),
        (values.share(10), "2.5", 2.5), (values.chance, "95%", 0.95), (values.whole, " -3 ", -3), (values.whole, 4, 4),
        (values.at_least(2), "2", 2), (values.whole_up_to(9), "9", 9), (values.port, "0", 0), (values.port, 65535, 65535),
        (values.switch, "Yes", True), (values.switch, "off", False), (values.switch, True, True), (values.switch, "0", False),
        (values.non_empty, " x ", "x"), (values.text_list, "a, ,b", ("a", "b")), (values.text_list, ["a ", ""], ("a",)),
        (values.choice("text", "json"), " JSON ", "json"), (values.folder, "/srv/x", Path("/srv/x")),
        (values.folder, "~/x", Path("~/x").expanduser()), (values.url, "https://hub.example", "https://hub.example"),
        (values.postgres_url, "postgres://me@host/db", "postgres://me@host/db"),
    ],
)  # fmt: skip
def test_what_is_read(read: Callable[[Any], Any], text: Any, value: Any) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text", "said"),
    [
        (values.duration_s, "soon", "not a duration"), (values.duration_s, "5 weeks", "not a duration"),
        (values.duration_s, True, "not a duration"), (values.duration_s, "0s", "longer than nothing"),
        (values.duration_s, "9" * 400 + "d", "longer than nothing"), (values.share(1), "half", "not a number"),
        (values.share(1), "nan", "not a number"), (values.share(1), True, "not a number"),
        (values.share(1), "101%", "from 0 to 100%"), (values.share(5), "-1", "from 0 to 5"),
        (values.chance, "0.4", "between 50% and 99.9%"), (values.chance, "100%", "between 50%"),
        (values.whole, "1.5", "not a whole number"), (values.whole, False, "not a whole number"),
        (values.at_least(1), "0", "too small, the least is 1"), (values.whole_up_to(9), "10", "from 0 to 9"),
        (values.whole_up_to(9), "-1", "from 0 to 9"), (values.port, "65536", "not a port"), (values.port, "-1", "not a port"),
        (values.switch, "perhaps", "neither yes nor no"), (values.non_empty, "  ", "must be a text"),
        (values.non_empty, 3, "must be a text"), (values.text_list, 3, "list of texts"),
        (values.text_list, ["a", 1], "list of texts"), (values.choice("text"), "xml", "not one of text"),
        (values.folder, "", "must be a text"), (values.url, "hub.example", "not an address"),
        (values.url, "ftp://hub.example", "not an address"), (values.postgres_url, "mysql://h/db", "must look like"),
        (values.postgres_url, "postgresql://h", "names no database"),
    ],
)  # fmt: skip
def test_what_is_refused(read: Callable[[Any], Any], text: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        read(text)
    assert not str(caught.value).endswith("."), "where it is shown it gets its full stop"

"""Same product or not, the pure rules: barcodes, words, features, blocking, trees, calibration, judging."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entrepot.catalog.match_intake import spellings
from entrepot.catalog.matching import gtin
from entrepot.catalog.matching.blocking import Index, stand
from entrepot.catalog.matching.boosting import Growing, Tree, grow
from entrepot.catalog.matching.features import NAMES, Standing, compare, nearness, weigh
from entrepot.catalog.matching.judging import best_f1_from, f1, lower_bound, precise_from, precision_recall
from entrepot.catalog.matching.model import PLAIN, SCORECARD, Model, calibrate, learn, scorecard
from entrepot.catalog.matching.reasons import marked, never, reasons
from entrepot.catalog.matching.words import Record, is_code, plain, prepare, words_of

WORDS = [
    "makita", "bosch", "drill", "saw", "jigsaw", "cordless", "black", "white", "red", "18v", "500w", "dhp453", "dhp-453",
    "pst700", "2.5", "inch", "250gb", "500gb", "mug", "enamel", "350", "ml", "with", "for", "kit", "xl", "s", "m", "3-pack",
    "über", "grün", "0451",
]  # fmt: skip
texts = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join) | st.text(max_size=40)
digits = st.text("0123456789", min_size=7, max_size=13)
records = st.builds(
    Record,
    title=texts,
    brand=st.sampled_from(["", "Makita", "Bosch"]),
    code=st.sampled_from(["", "DHP453", "PST-700"]),
    description=texts,
    price_minor=st.none() | st.integers(0, 10**7),
    currency=st.sampled_from(["EUR", "USD"]),
    barcode=st.sampled_from(["", "4006381333931", "3165140649186", "nonsense"]),
)
MIRRORED = {
    "listing_in_variant": "variant_in_listing", "listing_in_variant_more": "variant_in_listing_more",
    "listing_left": "variant_left", "listing_left_most": "variant_left_most", "listing_soft": "variant_soft",
    "code_in_variant": "code_in_listing", "listing_codes_left": "variant_codes_left",
    "listing_numbers_left": "variant_numbers_left", "listing_colours_left": "variant_colours_left",
    "listing_brand_in_title": "variant_brand_in_title",
}  # fmt: skip


def row(one: Record, other: Record, standing: Standing | None = None) -> dict[str, float]:
    pair = prepare(one), prepare(other)
    weights = weigh(each.more_words for each in pair)
    return dict(zip(NAMES, compare(*pair, weights, standing or Standing(0.5)), strict=True))


# ---- barcodes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "known"),
    [
        ("4006381333931", "04006381333931"),
        (" 400-6381 333931", "04006381333931"),
        ("036000291452", "00036000291452"),
        ("0036000291452", "00036000291452"),
        ("96385074", "00000096385074"),
        ("10012345678902", "10012345678902"),
        ("4006381333930", ""),  # Check digit.
        ("400638133393", ""),
        ("2012345678900", ""),  # Numbered by the shop.
        ("0000000000000", ""),
        ("", ""),
        ("ABC", ""),
        ("４００６３８１３３３９３１", ""),
    ],
)
def test_barcodes_are_taken_only_if_they_are_right(written: str, known: str) -> None:
    assert gtin.normalised(written) == known


@settings(deadline=None)
@given(digits)
def test_every_way_of_writing_a_barcode_means_the_same(start: str) -> None:
    if len(start) + 1 not in gtin.LENGTHS:
        return
    code = gtin.normalised(start + gtin.check_digit(start.zfill(13)))
    if code:
        assert {gtin.normalised(written) for written in spellings(code) if gtin.normalised(written)} == {code}
        assert code in spellings(code)


@settings(deadline=None)
@given(digits, st.integers(0, 12), st.integers(1, 9))
def test_one_wrong_digit_is_always_seen(start: str, place: int, by: int) -> None:
    code = start.zfill(13)
    wrong = [*code]
    wrong[place] = str((int(wrong[place]) + by) % 10)
    assert gtin.check_digit(code) != gtin.check_digit("".join(wrong))


@settings(deadline=None)
@given(records, records)
def test_different_barcodes_are_never_one_product(one: Record, other: Record) -> None:
    a, b = prepare(replace(one, barcode="4006381333931")), prepare(replace(other, barcode="3165140649186"))
    assert never(a, b)
    assert never(b, a)
    assert not never(a, prepare(replace(other, barcode="nonsense")))
    assert not never(a, a)


# ---- words -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Makita DHP-453 18V", {"makita", "dhp453", "18v"}),
        ("the Mugs with handles", {"mug", "handle"}),
        ("2 .4 GHz / 3.0", {"2.4", "ghz", "3"}),
        ("Grünes Café", {"grune", "cafe"}),
        ("", set()),
        ("--- ... ///", set()),
    ],
)
def test_words(text: str, words: set[str]) -> None:
    assert words_of(plain(text)) == words


@pytest.mark.parametrize(
    ("word", "is_one"),
    [("dhp453", True), ("40123", True), ("500gb", False), ("18", False), ("drill", False), ("2", False)],
)
def test_model_numbers(word: str, is_one: bool) -> None:
    assert is_code(word) is is_one


def test_html_is_no_word_of_a_description() -> None:
    assert prepare(Record("x", description="<p class='lead'>Strong <b>drill</b></p>")).more_words == {
        "x",
        "strong",
        "drill",
    }


@settings(deadline=None)
@given(texts, texts)
def test_marked_pieces_are_the_text(one: str, other: str) -> None:
    assert "".join(piece.text for piece in marked(one, other)) == one
    assert not any(piece.differs for piece in marked(one, one))


def test_what_differs_is_marked() -> None:
    assert [p.text for p in marked("Makita DHP-453 18V drill, red", "Makita DHP453 drill 18 V black") if p.differs] == [
        "red"
    ]


@settings(deadline=None)
@given(records, records)
def test_reasons_are_sentences(one: Record, other: Record) -> None:
    a, b = prepare(one), prepare(other)
    said = reasons(a, b, weigh([a.more_words, b.more_words]))
    assert said
    assert all(each.endswith(".") for each in said)


# ---- features ----------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(records, records)
def test_features_mirror_when_sides_change(one: Record, other: Record) -> None:
    there, back = row(one, other), row(other, one)
    both_ways = {**MIRRORED, **{v: k for k, v in MIRRORED.items()}}
    for name, value in there.items():
        if name == "price_higher":
            assert value == -9.0 == back[name] or math.isclose(value, -back[name], abs_tol=1e-9)
        else:
            assert math.isclose(value, back[both_ways.get(name, name)], abs_tol=1e-9), name


@settings(deadline=None)
@given(records, records)
def test_every_feature_is_a_finite_number(one: Record, other: Record) -> None:
    assert all(math.isfinite(value) for value in row(one, other).values())
    assert 0 <= PLAIN.score(list(row(one, other).values())) < 1


@settings(deadline=None)
@given(records, records)
def test_no_record_is_more_like_another_than_like_itself(one: Record, other: Record) -> None:
    a, b = prepare(one), prepare(other)
    weights = weigh([a.more_words, b.more_words])
    assert nearness(weights, a.words, b.words) <= nearness(weights, a.words, a.words) + 1e-9 or not a.words
    same = compare(a, a, weights, Standing(1.0))
    different = compare(a, b, weights, Standing(1.0))
    if a.words and b.words:
        assert scorecard(same) >= scorecard(different) - 2.6, "shared model numbers may outweigh a word that is missing"


def test_the_same_words_score_highest_and_another_model_far_lower() -> None:
    base = Record("Makita DHP453 cordless combi drill 18 V", "Makita", price_minor=8900, currency="EUR")
    lead = Standing(0.9, 0, 0.4, 0, 0.4)
    same = PLAIN.score(list(row(base, base, lead).values()))
    sibling = PLAIN.score(
        list(row(base, replace(base, title="Makita DHP482 cordless combi drill 18 V"), lead).values())
    )
    other = PLAIN.score(list(row(base, Record("Enamel mug", "Falcon", price_minor=1200, currency="EUR")).values()))
    assert same > 0.95 > 0.85 > sibling > other
    assert other < 0.05


def test_the_scorecard_names_features_that_there_are() -> None:
    assert set(SCORECARD) <= set(NAMES)
    assert len(set(NAMES)) == len(NAMES)


# ---- blocking ----------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.sets(st.sampled_from(WORDS), min_size=1, max_size=6), min_size=1, max_size=30), st.randoms())
def test_the_nearest_is_what_comparing_with_all_would_find(catalog: list[set[str]], chance: random.Random) -> None:
    weights = weigh(catalog)
    wanted = set(chance.sample(sorted(chance.choice(catalog)), 1)) | {"unheard"}
    index: Index[int] = Index([wanted, set(WORDS)], weights)
    for number, words in enumerate(catalog):
        index.add(number, words)
    found = index.nearest(wanted, most=50)
    every = {n: nearness(weights, wanted, words) for n, words in enumerate(catalog) if wanted & words}
    assert {n for n, _ in found} == set(every)
    assert all(math.isclose(near, every[n], rel_tol=1e-9) for n, near in found)
    assert [near for _, near in found] == sorted((near for _, near in found), reverse=True)


def test_a_word_that_all_have_brings_up_nothing() -> None:
    words = [{"mug", f"w{n}"} for n in range(30_000)]
    index: Index[int] = Index([{"mug"}, {"mug", "w7"}], weigh(words))
    for number, each in enumerate(words):
        index.add(number, each)
    assert index.nearest({"mug"}) == []
    assert [n for n, _ in index.nearest({"mug", "w7"})] == [7]


def test_standing_says_who_leads_and_by_how_much() -> None:
    found = {"L1": [("V1", 0.9), ("V2", 0.5)], "L2": [("V1", 0.6)]}
    standing = stand(found, {"V2": [0.7]})
    assert standing["L1", "V1"] == Standing(0.9, 0, 0.4, 0, pytest.approx(0.3))
    assert standing["L1", "V2"] == Standing(0.5, 1, -0.4, 1, pytest.approx(-0.2))
    assert standing["L2", "V1"] == Standing(0.6, 0, 0.6, 1, pytest.approx(-0.3))


def test_equals_do_not_lead() -> None:
    assert stand({"L": [("V1", 0.5), ("V2", 0.5)]})["L", "V1"].listing_lead == 0


# ---- learning ----------------------------------------------------------------------------------------------------


def flip(number: int, chance: random.Random) -> tuple[list[list[float]], list[bool]]:
    """Pairs that are one product if two features are high together: no single feature tells."""
    rows = [[chance.random() for _ in NAMES] for _ in range(number)]
    return rows, [each[0] > 0.4 and each[1] > 0.4 for each in rows]


def test_trees_learn_what_no_single_feature_tells() -> None:
    chance = random.Random(3)
    rows, truth = flip(600, chance)
    trees = grow(rows, truth, [0.0] * len(rows), Growing(trees=40, part_features=1.0))
    rows, truth = flip(300, chance)
    right = sum((sum(tree.value(each) for tree in trees) > 0) == yes for each, yes in zip(rows, truth, strict=True))
    assert right / len(rows) > 0.9


def test_growing_is_repeatable_and_survives_a_round_trip_through_json() -> None:
    rows, truth = flip(200, random.Random(1))
    model = learn(rows, truth, rows[:50], truth[:50], Growing(trees=5))
    assert model == learn(rows, truth, rows[:50], truth[:50], Growing(trees=5))
    read = msgspec.convert(msgspec.json.decode(msgspec.json.encode(model)), Model)
    assert [read.score(each) for each in rows[:20]] == [model.score(each) for each in rows[:20]]


def test_nothing_to_tell_apart_grows_leaves_only() -> None:
    (tree,) = grow([[1.0, 2.0]] * 50, [True] * 50, [0.0] * 50, Growing(trees=1))
    assert tree.feature == (-1,)
    assert tree.value([1.0, 2.0]) > 0
    assert Tree((0, -1, -1), (0.5, -1.0, 1.0), (1, 0, 0), (2, 0, 0)).value([0.5]) == -1.0


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-8, 8), st.booleans()), max_size=60))
def test_calibration_keeps_the_order_and_ends(pairs: list[tuple[float, bool]]) -> None:
    slope, shift = calibrate([odds for odds, _ in pairs], [yes for _, yes in pairs])
    assert slope > 0
    assert math.isfinite(shift)


def test_calibrated_scores_are_as_often_right_as_they_say() -> None:
    chance = random.Random(5)
    odds = [chance.uniform(-3, 3) for _ in range(4000)]
    truth = [chance.random() < 1 / (1 + math.exp(-(0.5 * each - 1))) for each in odds]
    slope, shift = calibrate(odds, truth)
    assert slope == pytest.approx(0.5, abs=0.06)
    assert shift == pytest.approx(-1, abs=0.12)


# ---- judging -----------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=80))
def test_from_the_chosen_score_on_precision_is_what_was_wanted(pairs: list[tuple[int, bool]]) -> None:
    scores, truth = [float(score) for score, _ in pairs], [yes for _, yes in pairs]
    found = precise_from(scores, truth, 0.8, deviations=0.0)
    wanted = [score for score in set(scores) if precision_recall(scores, truth, score)[0] >= 0.8 - 1e-12]
    assert found == (min(wanted) if wanted else None)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=60))
def test_no_other_score_has_a_better_f1(pairs: list[tuple[int, bool]]) -> None:
    scores, truth = [score / 20 for score, _ in pairs], [yes for _, yes in pairs]
    chosen = f1(*precision_recall(scores, truth, best_f1_from(scores, truth)))
    if any(truth):
        assert chosen >= max(f1(*precision_recall(scores, truth, score)) for score in scores) - 1e-9


def test_few_decisions_prove_nothing() -> None:
    assert precise_from([0.9] * 40, [True] * 40) is None
    assert precise_from([0.9] * 60, [True] * 60) == 0.9
    assert precise_from([0.9] * 60 + [0.8] * 60, [True] * 60 + [False] * 60) == 0.9
    assert lower_bound(0, 0) == 0
    assert lower_bound(60, 60) < 1

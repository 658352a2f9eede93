"""What a category asks of an item, as rules."""

from __future__ import annotations

from dataclasses import replace

from entrepot.channels.contract import Api, AttributeKind, AttributeRule, ListingRules, Payload, RequestRejected
from entrepot.connectors.ebay import calls, quota
from entrepot.connectors.ebay.listings import BRAND
from entrepot.connectors.ebay.manifest import RULES
from entrepot.connectors.ebay.reading import body_of, inner, objects, optional_text, text, whole

CHOICES_MAX = 200


async def read(api: Api, category: str) -> ListingRules:
    """Return the rules of a category. Raises RequestRejected: no such."""
    if not category.isdecimal():
        raise RequestRejected("eBay's categories are numbers, such as 20685.", code="category")
    place = api.settings["marketplace_id"]
    tree = text(body_of(await quota.send(api, calls.category_tree(place))), "categoryTreeId")
    body = body_of(await quota.send(api, calls.category_aspects(tree, category)))
    return rules_of(category, body)


def rules_of(category: str, body: Payload) -> ListingRules:
    """Return the rules that a category's aspects make. Pure."""
    own = [_rule(each) for each in objects(body, "aspects")]
    named = {each.name for each in own}
    common = tuple(each for each in RULES.attributes if each.name not in named)
    # The brand has a field of its own.
    return replace(RULES, category=category, attributes=(*common, *(each for each in own if each.name != BRAND)))


def _rule(aspect: Payload) -> AttributeRule:
    name, constraint = text(aspect, "localizedAspectName"), inner(aspect, "aspectConstraint")
    numeric = optional_text(constraint, "aspectDataType") == "NUMBER"
    values = [optional_text(each, "localizedValue") for each in objects(aspect, "aspectValues")]
    fixed = optional_text(constraint, "aspectMode") == "SELECTION_ONLY" and len(values) <= CHOICES_MAX
    several = optional_text(constraint, "itemToAspectCardinality") == "MULTI"
    return AttributeRule(
        name,
        name,
        kind=AttributeKind.NUMBER if numeric else AttributeKind.TEXT,
        required=constraint.get("aspectRequired") is True,
        choices=tuple(filter(None, values)) if fixed else (),
        length_max=whole(constraint, "aspectMaxLength"),
        values_max=30 if several else 1,
    )

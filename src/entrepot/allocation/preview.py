"""What listings would show under a policy that is not saved, beside what they show under those in force."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from uuid import UUID

from entrepot.allocation import custom, store_policies
from entrepot.allocation.cases import Case, Live, Share, categories_of, divide, load_cases, load_policies
from entrepot.allocation.contracts import Policy
from entrepot.allocation.learning import Learning
from entrepot.allocation.scopes import Scope
from entrepot.database.pool import Tx

SAMPLE_MOST = 500
"""Variants that are worked out for a preview: those that sell most."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A listing now and under the draft."""

    today: Share
    draft: Share

    @property
    def change(self) -> int:
        """Units that it would show more in the end."""
        return self.draft.final - self.today.final


@dataclass(frozen=True, slots=True)
class RuleCount:
    """For how many of the listings that were looked at a rule holds, and why it does not for most others."""

    name: str
    holds: int
    listings: int
    why_not: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What a draft would change. `concerned`: variants that it is for; `examined`: those worked out, which sell most.

    `differences`: all listings of the variants that change most, those first. `rules`: for custom rules.
    """

    concerned: int
    examined: int
    changed: int
    differences: tuple[Difference, ...]
    rules: tuple[RuleCount, ...] = ()


async def concerned_variants(tx: Tx, scope: Scope, draft: Policy) -> list[UUID]:
    """Return the variants whose policy the draft would be, those that sell most first."""
    rows = await store_policies.busiest_variants(tx, scope.kind, scope.id)
    policies = (await load_policies(tx)).with_policy(scope, draft)
    filed = await categories_of(tx, policies, list({row["product_id"] for row in rows}))
    return [
        row["id"] for row in rows
        if policies.of(row["product_id"], filed.get(row["product_id"], ())).scope == scope
    ]  # fmt: skip


async def preview(
    tx: Tx,
    draft: Policy,
    *,
    live: Live,
    variants: list[UUID],
    learning: Learning,
    shown_most: int = 25,
) -> Preview:
    """Return what a draft (as `check_policy` gave it) would change; nothing is saved.

    `variants`: as `concerned_variants` returned them; the first SAMPLE_MOST are worked out, and `shown_most` are told of.
    """
    sample = variants[:SAMPLE_MOST]
    cases = await load_cases(tx, sample, live, learning, draft)
    compared = [(case, _compare(case, draft)) for case in cases]
    compared.sort(
        key=lambda each: (-max([abs(d.change) for d in each[1]], default=0), sample.index(each[0].variant_id))
    )
    differences = [d for _, found in compared[:shown_most] for d in found]
    changed = sum(any(d.change for d in found) for _, found in compared)
    rules = _count_rules(cases, draft) if draft.strategy == "rules" else ()
    return Preview(len(variants), len(cases), changed, tuple(differences), rules)


def _compare(case: Case, draft: Policy) -> list[Difference]:
    drafted = {share.listing_id: share for share in divide(case, draft)}
    return [Difference(today, drafted[today.listing_id]) for today in divide(case, case.in_force.policy)]


def _count_rules(cases: list[Case], draft: Policy) -> tuple[RuleCount, ...]:
    holds: Counter[int] = Counter()
    failed: dict[int, Counter[str]] = {}
    names: dict[int, str] = {}
    listings = 0
    for case in cases:
        selling = [o for o in case.outlets if not o.fulfilment_only]
        listings += len(selling)
        rest = max(0, case.pool - case.situation.buffer)
        found = custom.preview(rest, selling, draft.parameters, case.situation)
        for place, match in enumerate(found):
            rule = place // max(1, len(selling))
            names[rule] = match.rule
            if selling:
                holds[rule] += match.holds
                if not match.holds:
                    failed.setdefault(rule, Counter())[match.why] += 1
    return tuple(
        RuleCount(name, holds[rule], listings, failed[rule].most_common(1)[0][0] if rule in failed else "")
        for rule, name in sorted(names.items())
    )

"""pgbench: what PostgreSQL itself does with the same statements, without our service in front of it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from benchmarks.hub import LOCATION, variant_id
from entrepot.database.embedded_program import ServerProgramMissing, installed_program
from entrepot.database.pool import APP_ROLE
from entrepot.stock import store, store_claims

OUTBOX = "insert into outbox (organisation_id, topic, payload) values ($1, $2, $3)"
"""As jobs.facade.emit writes it."""


def program() -> tuple[str, dict[str, str]] | None:
    """Return pgbench and the environment it needs: of the embedded server, else the system's; None if absent."""
    try:
        installed = installed_program()
    except ServerProgramMissing:
        installed = None
    if installed is not None and Path(installed.binary("pgbench")).exists():
        return installed.binary("pgbench"), installed.env
    found = shutil.which("pgbench")
    return (found, {}) if found else None


async def transactions_per_s(
    url: str, scripts: Sequence[Path], *, clients: int, seconds: float, defines: Sequence[str] = ()
) -> float | None:
    """Run the scripts with prepared statements as the application role; None if pgbench is not installed."""
    found = program()
    if found is None:
        return None
    path, env = found
    files = [part for script in scripts for part in ("-f", str(script))]
    variables = [part for define in defines for part in ("-D", define)]
    process = await asyncio.create_subprocess_exec(
        path, "-n", "-M", "prepared", "-c", str(clients), "-j", "1", "-T", str(max(1, round(seconds))), *variables,
        *files, url,
        env={**os.environ, **env, "PGOPTIONS": f"-c role={APP_ROLE}"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await process.communicate()
    speed = re.search(r"^tps = ([0-9.]+)", output.decode(), re.MULTILINE)
    if process.returncode or speed is None:
        raise RuntimeError(f"pgbench failed: {errors.decode()[-500:]}")
    return float(speed[1])


def hold_script(organisation: UUID, version: int) -> str:
    """Return one hold in one transaction as place_holds does it; variables `first` and `last` limit the SKUs."""
    variant = "('00000000-0000-7000-8000-' || lpad(to_hex((:sku)::int), 12, '0'))::uuid"
    ids, one, none = f"array[{_new_id(version)}]", "array[1]", "array[0]"
    balances = [
        "array[(:on_hand)::bigint]", "array[(:reserved)::bigint]", "array[(:held)::bigint + 1]",
        "array[(:unavailable)::bigint]", "array[(:incoming)::bigint]", "array[(:safety_stock)::bigint]",
    ]  # fmt: skip
    return "\n".join(
        [
            "\\set sku random(:first, :last)",
            *_begin(organisation),
            _filled(store.LOCK_LEVELS, organisation, f"array[{variant}]") + " \\gset",
            *_writes(
                organisation, variants=f"array[{variant}]", locations=f"array['{LOCATION}'::uuid]", balances=balances,
                ids=ids, one=one, none=none, kind="array['hold']",
                after=("array[(:on_hand)::bigint]", "array[(:reserved)::bigint]"), lines=none,
                empty="array['']", reference="array['reservation']", nobody="array[null::uuid]",
                payload=f"jsonb_build_object('variant_ids', jsonb_build_array({variant}::text))",
            ),
            "commit;",
        ]
    )  # fmt: skip


def batch_script(organisation: UUID, version: int, numbers: Sequence[int]) -> str:
    """Return a batch of holds in one transaction as place_holds does it, on these SKUs, one unit each."""
    size = len(numbers)
    listed = ",".join(str(variant_id(n)) for n in numbers)

    def same(value: str) -> str:
        return f"array_fill({value}, array[{size}])"

    zeros = same("0::bigint")
    payload = '{"variant_ids": [' + ", ".join(f'"{variant_id(n)}"' for n in numbers) + "]}"
    return "\n".join(
        [
            "\\set held random(1, 1000)",
            *_begin(organisation),
            _filled(store.LOCK_LEVELS, organisation, f"'{{{listed}}}'") + ";",
            *_writes(
                organisation, variants=f"'{{{listed}}}'", locations=same(f"'{LOCATION}'::uuid"),
                balances=[same("1000000::bigint"), zeros, same("(:held)::bigint"), zeros, zeros, zeros],
                ids=f"array(select {_new_id(version)} from generate_series(1, {size}))",
                one=same("1::bigint"), none=zeros, kind=same("'hold'::text"),
                after=(same("1000000::bigint"), zeros), lines=zeros, empty=same("''::text"),
                reference=same("'reservation'::text"), nobody=same("null::uuid"), payload=f"'{payload}'",
            ),
            "commit;",
        ]
    )  # fmt: skip


def _writes(
    organisation: UUID,
    *,
    variants: str,
    locations: str,
    balances: Sequence[str],
    ids: str,
    one: str,
    none: str,
    kind: str,
    after: tuple[str, str],
    lines: str,
    empty: str,
    reference: str,
    nobody: str,
    payload: str,
) -> list[str]:
    """Return the four statements that write a batch of holds."""
    soon = f"array(select now() + interval '15 minutes' from unnest({one}))"
    statements = [
        _filled(store.WRITE_LEVELS, organisation, variants, locations, *balances),
        _filled(
            store.INSERT_MOVEMENTS, organisation, ids, variants, locations, kind, none, none, one, none, none, *after,
            reference, ids, empty, "'benchmark'",
        ),
        _filled(store_claims.INSERT_RESERVATIONS, organisation, ids, lines, kind, variants, locations, one, nobody, soon, one),
        _filled(OUTBOX, organisation, "'stock.changed'", payload),
    ]  # fmt: skip
    return [statement + ";" for statement in statements]


def _begin(organisation: UUID) -> list[str]:
    return ["begin;", f"set local app.organisation_id = '{organisation}';"]


def _new_id(version: int) -> str:
    return "uuidv7()" if version >= 18 else "gen_random_uuid()"


def _filled(sql: str, organisation: UUID, *values: str) -> str:
    """Return the statement with its parameters ($1 is the organisation) written out, on one line."""
    given = [f"'{organisation}'::uuid", *values]
    text = re.sub(r"\$(\d+)", lambda match: f"({given[int(match[1]) - 1]})", sql)
    return " ".join(text.split())

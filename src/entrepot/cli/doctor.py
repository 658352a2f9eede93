"""`entrepot doctor`: says what is wrong with what the hub stands on, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from entrepot.cli.options import AsJson, DataDir, settings_with
from entrepot.cli.output import out, print_json


def doctor(
    data_dir: DataDir = None,
    as_json: AsJson = False,
    port: Annotated[int | None, typer.Option(help="The port to look at.")] = None,
) -> None:
    """Check Python, database, schema, row security, disk, secret key and port; ends with status 1 if one is bad."""
    from entrepot.cli.checks import findings_of

    settings = settings_with(data_dir)
    findings = findings_of(settings, port)
    fine = all(finding.state != "bad" for finding in findings)
    if as_json:
        print_json({"ok": fine, "checks": [asdict(finding) for finding in findings]})
    else:
        marks = {"ok": "[green]ok  [/]", "note": "[yellow]note[/]", "bad": "[red]bad [/]"}
        for finding in findings:
            out.print(f"{marks[finding.state]} {finding.check}: ", end="")
            out.print(finding.says, markup=False)
    if not fine:
        raise typer.Exit(1)

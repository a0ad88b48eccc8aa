"""The report of an import: what became of each directive, those first that somebody has to look at."""

import json
import os
import textwrap
from collections.abc import Iterator

from penstock.interop.importing.draft import (
    CARRIED,
    CHANGED,
    OPEN,
    UNKNOWN,
    UNNEEDED,
    UNSUPPORTED,
    VERDICTS,
    Draft,
    Finding,
    Place,
)

COLOURS = {OPEN: "1;41", UNSUPPORTED: "1;31", UNKNOWN: "1;31", CHANGED: "1;33", CARRIED: "1;32", UNNEEDED: "2"}


def as_text(draft: Draft, has_colour: bool, columns: int) -> str:
    """For a person."""
    return "\n".join(text_lines(draft, has_colour, max(columns, 40))) + "\n"


def text_lines(draft: Draft, has_colour: bool, columns: int) -> Iterator[str]:
    """Its lines: a heading for each verdict, and below it the directives with their notes."""
    for verdict in VERDICTS:
        findings = sorted((one for one in draft.findings if one.verdict == verdict), key=place_of)
        if findings:
            heading = f"{verdict} ({len(findings)})"
            yield f"\x1b[{COLOURS[verdict]}m{heading}\x1b[0m" if has_colour else heading
            for finding in findings:
                yield f"  {finding.directive.place}  {finding.directive.text}"
                yield from textwrap.wrap(finding.note, columns, initial_indent="      ", subsequent_indent="      ")
            yield ""
    if draft.notes:
        yield "what no line says"
        for note in draft.notes:
            yield from textwrap.wrap(note, columns, initial_indent="  * ", subsequent_indent="    ")
        yield ""
    yield summary(draft)


def place_of(finding: Finding) -> Place:
    """By file and line."""
    return finding.directive.place


def summary(draft: Draft) -> str:
    """How many directives met which fate, in one line."""
    counts = {verdict: sum(one.verdict == verdict for one in draft.findings) for verdict in VERDICTS}
    fates = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    return f"{len(draft.findings)} directives: {fates or 'nothing to say'}"


def as_json(draft: Draft, kind: str, text: str, written: str) -> str:
    """For programs; `text` is what the file says, `written` its path, "" when it was not written."""
    return json.dumps(
        {
            "kind": kind,
            "written": written,
            "configuration": text,
            "directives": [
                {
                    "file": os.fspath(one.directive.place.file),
                    "line": one.directive.place.line,
                    "directive": one.directive.text,
                    "verdict": one.verdict,
                    "note": one.note,
                }
                for one in sorted(draft.findings, key=place_of)
            ],
            "notes": draft.notes,
        },
        indent=2,
    )

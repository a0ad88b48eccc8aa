"""Findings as a person reads them, and as JSON. Decides nothing about them."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from penstock.check.findings import LEVELS, Finding

COLOURS = {"critical": "1;31", "error": "1;31", "warning": "33", "info": "36", "debug": "2"}
PLURALS = {"critical": "critical", "error": "errors", "warning": "warnings", "info": "notes", "debug": "remarks"}
SINGULARS = {"critical": "critical", "error": "error", "warning": "warning", "info": "note", "debug": "remark"}
MARGIN = " " * 10
# Below it lines of text are hard to read, above it too.
NARROWEST, WIDEST = 60, 100


class Report(NamedTuple):
    """Everything that one check has to say."""

    subject: str  # what was checked
    scope: str  # and how far
    findings: Sequence[Finding]
    silenced: Sequence[Finding]
    fail_level: str
    has_failed: bool


def as_text(report: Report, has_colour: bool, width: int) -> str:
    """Grouped by theme, the gravest of each first, with one line at the end that sums up."""
    paint = painter(has_colour)
    columns = min(max(width, NARROWEST), WIDEST)
    lines = [f"{paint('1', report.subject)}  {paint('2', report.scope)}"]
    themes: dict[str, list[Finding]] = {}
    for found in report.findings:
        themes.setdefault(found.theme, []).append(found)
    for theme, findings in themes.items():
        lines += ["", paint("1", theme)]
        for found in sorted(findings, key=lambda found: -LEVELS.index(found.level)):
            lines += block(found, paint, columns)
    return "\n".join([*lines, "", summary(report, paint)])


def painter(has_colour: bool) -> Any:
    """Writes text in a colour, or as it is."""
    return (lambda colour, text: f"\x1b[{colour}m{text}\x1b[0m") if has_colour else (lambda _, text: text)


def block(found: Finding, paint: Any, width: int) -> list[str]:
    """One finding: what, where, why, and what to do."""
    first, *others = wrap(found.message, width) or [""]
    lines = [f"  {paint(COLOURS[found.level], f'{found.level:8}')}{first}"]
    lines += [MARGIN + line for line in others]
    lines.append(MARGIN + paint("2", " in ".join(part for part in (found.id, found.object) if part)))
    lines += [MARGIN + paint("2", line) for line in wrap(found.why, width)]
    lines += [MARGIN + line for line in found.detail.splitlines()]
    if found.hint:
        first, *others = wrap(f"fix: {found.hint}", width)
        lines.append(MARGIN + paint("32", first[:4]) + first[4:])
        lines += [f"{MARGIN}     {line}" for line in others]
    return lines


def wrap(text: str, width: int) -> list[str]:
    """The text in lines that fit beside the margin; what stands in backticks is to be copied, and stays in one."""
    whole = re.sub("`[^`]*`", lambda match: match[0].replace(" ", "\xa0"), text)
    lines = textwrap.wrap(whole, width - len(MARGIN), break_long_words=False, break_on_hyphens=False)
    return [line.replace("\xa0", " ") for line in lines]


def summary(report: Report, paint: Any) -> str:
    """How many of each level there are."""
    parts = [
        paint(COLOURS[level], f"{count} {SINGULARS[level] if count == 1 else PLURALS[level]}")
        for level, count in reversed(list(count_levels(report.findings).items()))
        if count
    ]
    text = ", ".join(parts) or paint("32", "nothing found")
    return text + (f" ({len(report.silenced)} silenced)" if report.silenced else "")


def count_levels(findings: Sequence[Finding]) -> Mapping[str, int]:
    """How many findings each level has, from the mildest on."""
    return {level: sum(found.level == level for found in findings) for level in LEVELS}


def as_json(report: Report) -> str:
    """The same for programs."""
    import json  # noqa: PLC0415 (only when it is asked for)

    return json.dumps(
        {
            "subject": report.subject,
            "scope": report.scope,
            "failed": report.has_failed,
            "fail_level": report.fail_level,
            "counts": count_levels(report.findings),
            "silenced": [found.id for found in report.silenced],
            "findings": [found.to_message() for found in report.findings],
        },
        indent=2,
        default=str,
    )

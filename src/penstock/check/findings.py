"""What a check has found: one thing, with its place and its fix. Knows not how it was found, nor how it is shown."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from penstock.check.rules import BY_ID, PREFIX, TABLE
from penstock.errors import nearest

# From the mildest on; Django's own five.
LEVELS = ("debug", "info", "warning", "error", "critical")


class Finding(NamedTuple):
    """One thing that is wrong, as a person wants to read it."""

    id: str  # with "penstock." or what Django writes in front
    level: str  # one of LEVELS
    theme: str
    message: str
    why: str
    hint: str
    object: str = ""  # the file, the setting or the URL that it is about
    detail: str = ""  # lines to show as they are: a traceback
    instead_of: tuple[str, ...] = ()

    @property
    def link(self) -> str:
        """Its place in the documentation, from the root of that; "" for Django's own."""
        id = self.id.removeprefix(PREFIX)
        return f"reference/checks.html#{PREFIX.rstrip('.')}-{id.lower()}" if id in BY_ID else ""

    def to_message(self) -> dict[str, Any]:
        """For JSON."""
        names = ("id", "level", "theme", "message", "why", "hint", "object", "detail")
        return {name: getattr(self, name) for name in names} | {"link": self.link}


def finding(id: str, message: str = "", *, object: str = "", hint: str = "", detail: str = "") -> Finding:
    """A finding of the table; `message` says it in particular, where the table's title is too general."""
    rule = BY_ID[id]
    return Finding(
        PREFIX + id,
        rule.level,
        rule.theme,
        message or rule.title,
        rule.why,
        hint or rule.fix,
        object,
        detail.rstrip(),
        tuple(rule.instead_of),
    )


def reaches(level: str, threshold: str) -> bool:
    """Whether a level is as grave as another, or graver."""
    return LEVELS.index(level) >= LEVELS.index(threshold)


def sift(findings: Iterable[Finding], silenced: Iterable[str]) -> tuple[list[Finding], list[Finding]]:
    """The findings to show, without what another one says too; and those that somebody has silenced."""
    findings, names = list(findings), set(silenced)
    shown = [found for found in findings if found.id not in names]
    said = {id for found in shown for id in found.instead_of}
    return [found for found in shown if found.id not in said], [found for found in findings if found.id in names]


def unknown_ids(silenced: Iterable[str]) -> list[Finding]:
    """A warning for each of our ids that there is not; those of others are theirs to know."""
    known = [PREFIX + rule.id for rule in TABLE]
    return [
        finding("W008", f"silenced_checks names {id!r}, which there is not", hint=nearest(id, known))
        for id in silenced
        if id.startswith(PREFIX) and id not in known
    ]

"""One `penstock check`: opens the project, runs what was asked for, and sorts what was found."""

import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from penstock.check import application, databases, files, limits, proxies, resources, secrets, security, system_checks
from penstock.check.findings import Finding, reaches, sift, unknown_ids
from penstock.check.private_site import Serving
from penstock.check.project import Project, open_project
from penstock.check.report import Report
from penstock.check.rules import BY_ID, PREFIX, THEMES
from penstock.config import Config

STATIC = (application, security, files, proxies, limits, resources, databases, secrets)


class Asked(NamedTuple):
    """What the command line asks of one check."""

    deploy: bool = False
    live: bool = False
    layers: bool = False
    fail_level: str = "error"


def run(config: Config, serving: Serving, asked: Asked) -> Report:
    """Checks the project that this `penstock serve` with this configuration would serve."""
    project, findings = open_project(config, serving.environment, asked.deploy)
    is_open = not findings
    findings += unknown_ids(config.silenced_checks)
    findings += static_findings(project)
    if is_open and project.settings:
        findings += system_checks.check(project)
    if is_open and asked.layers:
        from penstock.check import layers  # noqa: PLC0415 (only when it is asked for)

        findings += layers.check(project)
    if is_open and asked.live:
        from penstock.check import live  # noqa: PLC0415 (only when it is asked for)

        findings += relevant(live.check(project, serving), project)
    shown, silenced = sift(in_order(findings), silenced_ids(project))
    return Report(
        subject=subject_of(project),
        scope="for production" if asked.deploy else "as it is here; --deploy looks at it as in production",
        findings=shown,
        silenced=silenced,
        fail_level=asked.fail_level,
        has_failed=any(reaches(found.level, asked.fail_level) for found in shown),
    )


def static_findings(project: Project) -> Iterator[Finding]:
    """What can be seen without a request."""
    for module in STATIC:
        yield from relevant(module.check(project), project)


def relevant(findings: Iterable[Finding], project: Project) -> Iterator[Finding]:
    """Those of our findings that matter where the project is."""
    return (found for found in findings if project.is_deploy or not BY_ID[found.id.removeprefix(PREFIX)].deploy)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """By theme: ours in the order of the table, then Django's."""
    themes = list(THEMES.values())
    return sorted(findings, key=lambda found: themes.index(found.theme) if found.theme in themes else len(themes))


def silenced_ids(project: Project) -> list[str]:
    """The ids that the configuration and Django's settings name."""
    theirs: Any = project.settings.SILENCED_SYSTEM_CHECKS if project.settings else []
    return [*project.config.silenced_checks, *theirs]


def subject_of(project: Project) -> str:
    """What was checked, as a heading."""
    name = project.module or os.path.basename(project.directory)
    return f"penstock check: {name}"

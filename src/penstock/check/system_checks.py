"""Django's own system checks, and those that the project's apps bring, in the same form as ours."""

from collections.abc import Iterator
from typing import Any

from penstock.app import own_traceback
from penstock.check.findings import Finding, finding
from penstock.check.project import Project
from penstock.check.rules import DJANGO

# Django's levels, the gravest first.
NUMBERS = ((50, "critical"), (40, "error"), (30, "warning"), (20, "info"), (float("-inf"), "debug"))


def check(project: Project) -> Iterator[Finding]:
    """What `manage.py check` says, or `manage.py check --deploy`; without what comes from us."""
    from django.core import checks  # noqa: PLC0415 (only with Django)

    leave_ours_out(checks.registry.registry)
    try:
        messages = checks.run_checks(include_deployment_checks=project.is_deploy)
    except (Exception, SystemExit) as error:
        yield finding("E004", f"Django's own checks stopped with {type(error).__name__}", detail=own_traceback(error))
        return
    # Django keeps its checks in a set: their order is another each time.
    yield from sorted(map(translate, messages))


def leave_ours_out(registry: Any) -> None:
    """Takes out what penstock.django registers: it has been run already."""
    for checks in (registry.registered_checks, registry.deployment_checks):
        checks -= {known for known in checks if known.__module__ == "penstock.django.checks"}


def translate(message: Any) -> Finding:
    """A CheckMessage as a finding."""
    return Finding(
        id=message.id or "django",
        level=level_of(message.level),
        theme=DJANGO,
        message=" ".join(str(message.msg).split()),
        why="",
        hint=" ".join(str(message.hint or "").split()),
        object=name_of(message.obj),
    )


def level_of(number: int) -> str:
    """The level that a number of Django's stands for; a number between two stands for the milder one."""
    return next(name for least, name in NUMBERS if number >= least)


def name_of(thing: Any) -> str:
    """What a message is about, as Django writes it."""
    if thing is None:
        return ""
    meta = getattr(thing, "_meta", None)
    return str(getattr(meta, "label", "") or thing)

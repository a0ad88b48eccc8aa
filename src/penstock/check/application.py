"""Whether what is to be served can be served at all, by its form. Calls nothing of it."""

import inspect
from collections.abc import Iterator

from penstock.check.findings import Finding, finding
from penstock.check.project import Project
from penstock.check.source import place_of


def check(project: Project) -> Iterator[Finding]:
    """The application and its middleware."""
    if project.application and is_asynchronous(project.application):
        yield finding("E005", f"the application {project.application!r} is an ASGI one")
    if project.settings:
        yield from asynchronous_middleware(project)
        yield from development_server(project)


def is_asynchronous(application: object) -> bool:
    """Whether calling it makes a coroutine, as an ASGI application does."""
    return inspect.iscoroutinefunction(application) or inspect.iscoroutinefunction(type(application).__call__)


def asynchronous_middleware(project: Project) -> Iterator[Finding]:
    """Django's middleware that has no synchronous half. What cannot be imported is Django's to say."""
    from django.utils.module_loading import import_string  # noqa: PLC0415 (only with Django)

    for name in project.settings.MIDDLEWARE:
        try:
            middleware = import_string(name)
        except ImportError:
            continue
        if not getattr(middleware, "sync_capable", True):
            yield finding("W006", f"{name} is asynchronous only", object=place_of(project.module, "MIDDLEWARE"))


def development_server(project: Project) -> Iterator[Finding]:
    """Whether our runserver is hidden behind that of Django's staticfiles."""
    from django.apps import apps  # noqa: PLC0415 (only with Django)

    names = [config.name for config in apps.get_app_configs()]
    ours, theirs = "penstock.django", "django.contrib.staticfiles"
    if {ours, theirs} <= set(names) and names.index(ours) > names.index(theirs):
        message = f"{ours} stands behind {theirs}, so `manage.py runserver` is Django's own"
        yield finding("W011", message, object=place_of(project.module, "INSTALLED_APPS"))

"""What lets others in: DEBUG, SECRET_KEY, the names of the site. Reads Django's settings only."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from penstock.check.findings import Finding, finding
from penstock.check.project import Project
from penstock.check.source import find_assignment, place_of

# What tutorials, templates and Django's own startproject write.
PUBLIC_PREFIXES = ("django-insecure-", "insecure")
PUBLIC_WORDS = ("changeme", "change-me", "change_me", "secret", "your-secret-key", "replace-me", "not-so-secret")
SHORTEST = 50  # Django's own measure
FEWEST_CHARACTERS = 5  # different ones; Django's too


def check(project: Project) -> Iterator[Finding]:
    """All of them."""
    settings = project.settings
    if not settings:
        return
    if settings.DEBUG:
        yield finding("E101", object=place_of(project.module, "DEBUG"))
    yield from secret_key(project)
    yield from hosts(project)
    yield from origins(project)


def secret_key(project: Project) -> Iterator[Finding]:
    """Whether the key is there, and whether it is a secret."""
    from django.core.exceptions import ImproperlyConfigured  # noqa: PLC0415 (only with Django)

    place = place_of(project.module, "SECRET_KEY")
    try:
        key = project.settings.SECRET_KEY
    except ImproperlyConfigured:
        yield finding("E102", object=place)
        return
    text = key.decode("latin-1") if isinstance(key, bytes) else str(key)
    if text.startswith(PUBLIC_PREFIXES) or text.lower() in PUBLIC_WORDS:
        yield finding("E103", object=place)
    elif len(text) < SHORTEST or len(set(text)) < FEWEST_CHARACTERS:
        yield finding("W104", f"SECRET_KEY has {len(text)} characters, {len(set(text))} different ones", object=place)
    written = find_assignment(project.module, "SECRET_KEY")
    if written and written.spells_out(key):
        yield finding("W105", object=place)


def hosts(project: Project) -> Iterator[Finding]:
    """The names that the site answers to."""
    place = place_of(project.module, "ALLOWED_HOSTS")
    if not project.settings.ALLOWED_HOSTS:
        yield finding("E106", object=place)
    elif "*" in project.settings.ALLOWED_HOSTS:
        yield finding("W107", object=place)


def origins(project: Project) -> Iterator[Finding]:
    """The sites whose pages may post forms here. What has no scheme is Django's to say."""
    from django.http.request import validate_host  # noqa: PLC0415 (only with Django)

    place = place_of(project.module, "CSRF_TRUSTED_ORIGINS")
    for origin in project.settings.CSRF_TRUSTED_ORIGINS:
        parts = urlsplit(origin)
        host = (parts.hostname or "").removeprefix("*")
        if parts.scheme == "http" and not is_local(host):
            yield finding("W108", f"CSRF_TRUSTED_ORIGINS trusts {origin}, which comes without TLS", object=place)
        if host and not validate_host(host.removeprefix("."), project.settings.ALLOWED_HOSTS):
            yield finding(
                "I109", f"CSRF_TRUSTED_ORIGINS trusts {origin}, which ALLOWED_HOSTS does not name", object=place
            )


def is_local(host: str) -> bool:
    """Whether a name means this machine."""
    return host in ("localhost", "127.0.0.1", "::1") or host.endswith(".localhost")

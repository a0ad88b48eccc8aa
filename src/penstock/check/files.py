"""Static files and uploads: collected, fresh, apart from each other, and no secret among them. Writes nothing."""

import filecmp
import os
from collections.abc import Iterator
from typing import Any

from penstock.app import shorten
from penstock.check.findings import Finding, finding
from penstock.check.project import Project
from penstock.check.secrets import secret_files
from penstock.check.source import place_of
from penstock.django.discovery import url_path

SHOWN = 3  # names; the others are counted


def check(project: Project) -> Iterator[Finding]:
    """All of them."""
    for url, root in project.config.static.items():
        if not os.path.isdir(root):
            yield finding("W211", f"{shorten(root)} is no directory, so {url} is not served")
    yield from secrets_among_files(project)
    if not project.settings:
        return
    yield from urls(project)
    yield from uploads(project)
    if project.is_deploy:
        yield from static_files(project)


def urls(project: Project) -> Iterator[Finding]:
    """Files that would hide the application."""
    settings = project.settings
    if url_path(settings.STATIC_URL) == "/":
        yield finding("W209", "STATIC_URL covers the whole site", object=place_of(project.module, "STATIC_URL"))
    # Django turns an unset MEDIA_URL into "/".
    if settings.MEDIA_ROOT and url_path(settings.MEDIA_URL) == "/":
        yield finding("W209", "MEDIA_URL covers the whole site", object=place_of(project.module, "MEDIA_ROOT"))


def uploads(project: Project) -> Iterator[Finding]:
    """Whether uploads have a place of their own that can be written to."""
    settings = project.settings
    media, static = os.fspath(settings.MEDIA_ROOT or ""), os.fspath(settings.STATIC_ROOT or "")
    if not media:
        return
    place = place_of(project.module, "MEDIA_ROOT")
    if static and (lies_in(media, static) or lies_in(static, media)):
        yield finding("E207", "MEDIA_ROOT and STATIC_ROOT lie in one another", object=place)
    media_url, static_url = url_path(settings.MEDIA_URL), url_path(settings.STATIC_URL)
    urls = [url for url in (media_url, static_url) if url and url != "/"]
    if len(urls) == 2 and (urls[0].startswith(urls[1]) or urls[1].startswith(urls[0])):
        url_place = place_of(project.module, "MEDIA_URL")
        yield finding("E207", "MEDIA_URL and STATIC_URL lie in one another", object=url_place)
    if not os.access(existing(media), os.W_OK | os.X_OK):
        yield finding("E210", f"{shorten(media)} cannot be written to", object=place)


def static_files(project: Project) -> Iterator[Finding]:
    """Whether STATIC_ROOT holds what the apps bring, when files in a directory of this machine are used at all."""
    settings = project.settings
    url = url_path(settings.STATIC_URL)
    if "django.contrib.staticfiles" not in settings.INSTALLED_APPS or not url or url in project.config.static:
        return
    from django.contrib.staticfiles.storage import (  # noqa: PLC0415 (only with Django)
        ManifestFilesMixin,
        StaticFilesStorage,
        staticfiles_storage,
    )

    if not settings.STATIC_ROOT:
        yield finding("E201", object=place_of(project.module, "STATIC_ROOT"))
        return
    if not isinstance(staticfiles_storage, StaticFilesStorage):
        return
    root = os.fspath(settings.STATIC_ROOT)
    if not os.path.isdir(root) or not os.listdir(root):
        state = "is empty" if os.path.isdir(root) else "does not exist"
        yield finding("E202", f"STATIC_ROOT {shorten(root)} {state}", object=place_of(project.module, "STATIC_ROOT"))
        return
    sources = dict(source_files())
    if isinstance(staticfiles_storage, ManifestFilesMixin):
        yield from manifest(staticfiles_storage, root, set(sources))
    kept = kept_by_hash(staticfiles_storage, root)
    stale = [name for name, path in sources.items() if name not in kept and is_stale(path, os.path.join(root, name))]
    if stale:
        yield finding("W203", f"{amount(stale)} changed since they were collected", object=shorten(root))


def source_files() -> Iterator[tuple[str, str]]:
    """What collectstatic would collect: the name below STATIC_ROOT, and the path; the first of a name wins."""
    from django.apps import apps  # noqa: PLC0415
    from django.contrib.staticfiles.finders import get_finders  # noqa: PLC0415

    seen = set()
    for finder in get_finders():
        for path, storage in finder.list(apps.get_app_config("staticfiles").ignore_patterns):
            name = os.path.join(getattr(storage, "prefix", None) or "", path)
            if name not in seen and hasattr(storage, "location"):
                seen.add(name)
                yield name, storage.path(path)


def kept_by_hash(storage: Any, root: str) -> set[str]:
    """The files of which only the one with a hash in its name was kept, as some storages do to save room."""
    hashed: dict[str, str] = getattr(storage, "hashed_files", {})
    found = os.path.exists
    return {name for name, own in hashed.items() if found(os.path.join(root, own)) > found(os.path.join(root, name))}


def is_stale(source: str, collected: str) -> bool:
    """Whether a file was not collected, or has changed since. A checkout gives files new times: contents decide."""
    try:
        found, wanted = os.stat(collected), os.stat(source)
    except FileNotFoundError:
        return True
    if found.st_mtime >= wanted.st_mtime:
        return False
    return found.st_size != wanted.st_size or not filecmp.cmp(source, collected, shallow=False)


def manifest(storage: Any, root: str, names: set[str]) -> Iterator[Finding]:
    """Whether the manifest and the files belong together."""
    place = shorten(os.path.join(root, storage.manifest_name))
    if not storage.manifest_storage.exists(storage.manifest_name):
        yield finding("E204", object=place)
        return
    missing = sorted(names - set(storage.hashed_files))
    if missing and storage.manifest_strict:
        yield finding("E205", f"{amount(missing)} missing from the manifest", object=place)
    gone = sorted(name for name in storage.hashed_files.values() if not os.path.exists(os.path.join(root, name)))
    if gone:
        yield finding("E206", f"{amount(gone)} in the manifest, and not there", object=place)


def secrets_among_files(project: Project) -> Iterator[Finding]:
    """Secrets in what visitors may download. Penstock serves no dotfiles; a server in front of it might."""
    settings = project.settings
    roots = list(project.config.static.values())
    roots += [os.fspath(root) for root in (settings.STATIC_ROOT, settings.MEDIA_ROOT) if root] if settings else []
    for path in secret_files(project):
        inside = next((root for root in roots if lies_in(path, root)), None)
        if inside:
            yield finding("E208", f"{shorten(path)} lies in {shorten(inside)}, which is served", object=shorten(path))


def lies_in(path: str, root: str) -> bool:
    """Whether a path is a directory, or below it, wherever links lead."""
    path, root = os.path.realpath(path), os.path.realpath(root)
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)


def existing(path: str) -> str:
    """The path, or the nearest directory above it that is there: the one in which it would be made."""
    path = os.path.abspath(path)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def amount(names: list[str]) -> str:
    """`a.css and b.css`, or `3 files (a.css, b.css, c.css)`, with the verb that fits."""
    shown = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
    return f"{len(names)} static file{' is' if len(names) == 1 else 's are'} ({shown})"

"""Which URLs are files, read from the settings of a Django that is set up. Never lets a file URL swallow the site."""

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock._native import StaticMount


class Discovery:
    """The mounts that were found, and a sentence for each thing that should be mended."""

    def __init__(self) -> None:
        self.mounts: list[StaticMount] = []
        self.warnings: list[str] = []

    def add(self, prefix: str, roots: list[str], max_age: int, immutable: str, fall_through: bool) -> None:
        """One mount; the engine tries `roots` in order."""
        self.mounts.append(
            {
                "prefix": prefix,
                "roots": roots,
                "max_age": max_age,
                "immutable": immutable,
                "fall_through": fall_through,
            }
        )


def discover(settings: Any, max_age: int) -> Discovery:
    """The static and media mounts of a Django project. `settings` is django.conf.settings, `max_age` seconds."""
    found = Discovery()
    static = url_path(getattr(settings, "STATIC_URL", None))
    has_staticfiles = "django.contrib.staticfiles" in settings.INSTALLED_APPS
    if static == "/":
        found.warnings.append(
            "STATIC_URL covers the whole site, so static files are left to the application; set it to 'static/'"
        )
    elif static and settings.DEBUG and has_staticfiles:
        add_finders(found, static)
    elif static:
        add_static_root(found, settings.STATIC_ROOT, static, max_age, has_staticfiles)
    add_media(found, settings, max_age)
    return found


def url_path(url: str | None) -> str | None:
    """The path below which Django puts the files; None when they are on another host, or nowhere."""
    if not url or "//" in url:
        return None
    return "/" if not url.strip("/") else f"/{url.strip('/')}/"


def add_static_root(found: Discovery, root: str | None, prefix: str, max_age: int, has_staticfiles: bool) -> None:
    """What collectstatic has gathered."""
    if root and os.path.isdir(root):
        found.add(prefix, [os.path.abspath(root)], max_age, "hashed", False)
    elif root:
        found.warnings.append(
            f"STATIC_ROOT {root} does not exist, so {prefix} is not served: run `python manage.py collectstatic`"
        )
    elif has_staticfiles:
        found.warnings.append(
            f"STATIC_ROOT is not set, so {prefix} is not served: set it and run `python manage.py collectstatic`"
        )


def add_finders(found: Discovery, prefix: str) -> None:
    """With DEBUG, the directories that `runserver` would look into; what they do not have, the application answers."""
    from django.contrib.staticfiles.finders import get_finders  # noqa: PLC0415

    roots: dict[str, list[str]] = {}
    for finder in get_finders():
        locations = list(finder_locations(finder))
        if not locations and not hasattr(finder, "storages"):
            found.warnings.append(f"the files of {type(finder).__name__} are left to the application")
        for below, root in locations:
            if os.path.isdir(root):
                roots.setdefault(f"{prefix}{below.strip('/')}/" if below else prefix, []).append(os.path.abspath(root))
    for mount, directories in roots.items():
        # Whoever edits a file wants to see it with the next request.
        found.add(mount, [*directories, *nested_roots(mount, roots)], 0, "never", True)


def nested_roots(mount: str, roots: Mapping[str, list[str]]) -> list[str]:
    """Where files below a prefix lie in the directories of shorter ones: in the engine the longest decides alone."""
    shorter = [prefix for prefix in roots if prefix != mount and mount.startswith(prefix)]
    nested = [os.path.join(root, mount[len(prefix) : -1]) for prefix in shorter for root in roots[prefix]]
    return [root for root in nested if os.path.isdir(root)]


def finder_locations(finder: Any) -> Iterator[tuple[str, str]]:
    """The (prefix, directory) pairs of Django's own finders; nothing for others, which may do anything."""
    if hasattr(finder, "locations"):
        yield from ((prefix or "", os.fspath(root)) for prefix, root in finder.locations)
    elif hasattr(finder, "storages"):
        yield from (("", storage.location) for storage in finder.storages.values() if hasattr(storage, "location"))


def add_media(found: Discovery, settings: Any, max_age: int) -> None:
    """The uploads, when they are a directory below a URL of their own."""
    root = os.fspath(settings.MEDIA_ROOT or "")
    prefix = url_path(settings.MEDIA_URL)
    if not root or not prefix:
        return
    if prefix == "/":
        # Django turns an unset MEDIA_URL into "/".
        found.warnings.append("MEDIA_ROOT is set and MEDIA_URL is not, so uploads are not served: set it to 'media/'")
        return
    # People may upload another file under the same name, so no name is for ever.
    found.add(prefix, [os.path.abspath(root)], max_age, "never", settings.DEBUG)

"""What a changed file means to a running Django project: nothing, another look for the browser, or a new process.

Gives the signals of Django's own reloader, so that what listens to them works: templates, translations, other apps.
"""

import os
from fnmatch import fnmatch
from pathlib import Path

from django.utils.autoreload import BaseReloader, autoreload_started, file_changed, iter_all_python_module_files


class Changes(BaseReloader):  # type: ignore[misc]  # Django has no types
    """Stands for Django's reloader. `folders` hold files that the browser asks for by themselves."""

    def __init__(self, folders: list[str]) -> None:
        super().__init__()
        self.folders = [Path(folder).resolve() for folder in folders]
        autoreload_started.send(sender=self)

    def verdict(self, paths: list[str]) -> str:
        """ "restart", "refresh" or "": the gravest that any of the files asks for."""
        verdicts = {self.verdict_on(Path(path)) for path in paths}
        return next((verdict for verdict in ("restart", "refresh") if verdict in verdicts), "")

    def verdict_on(self, path: Path) -> str:
        """The same for one file."""
        # Who has dealt with the change, as the template engines have, says so.
        if any(is_done for _, is_done in file_changed.send(sender=self, file_path=path)):
            return "refresh"
        if path in map(Path, self.extra_files) or self.is_in_globs(path):
            return "restart"
        return "refresh" if any(folder in path.parents for folder in self.folders) else ""

    def is_in_globs(self, path: Path) -> bool:
        """Whether somebody has asked for files of such a name there."""
        return any(
            folder in path.parents and fnmatch(path.name, pattern.rpartition("/")[2])
            for folder, patterns in self.directory_globs.items()
            for pattern in patterns
        )

    def places(self) -> list[str]:
        """The folders and files to watch beside the project's own: packages, templates, translations."""
        packages = {package_folder(path) for path in iter_all_python_module_files() if not is_of_python(path)}
        places = {*packages, *self.directory_globs, *self.extra_files, *self.folders}
        return [str(place) for place in places if os.path.exists(place)]


def package_folder(path: Path) -> Path:
    """The outermost package that a module belongs to, or the module's file when it belongs to none."""
    place = path
    while (place.parent / "__init__.py").is_file():
        place = place.parent
    return place


def is_of_python(path: Path) -> bool:
    """Whether a file is part of the standard library."""
    library = Path(os.__file__).resolve().parent
    return library in path.parents and "site-packages" not in path.parts and "dist-packages" not in path.parts

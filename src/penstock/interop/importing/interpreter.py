"""The Python of a site, and where it looks for modules. Drops what Penstock need not be told."""

import sys
import sysconfig

from penstock.interop.importing.draft import UNNEEDED, Directive, Into, join


def import_venv(path: str, directive: Directive, into: Into) -> None:
    """A virtual environment."""
    if join(into.base, path) == sys.prefix:
        into.draft.find(directive, UNNEEDED, "it is that of this `penstock`")
    else:
        into.set("venv", path, directive, "Penstock has to be installed there too")


def import_python_path(paths: list[str], directive: Directive, into: Into) -> None:
    """Directories to look for modules in, but for those where Python looks anyway."""
    usual = {into.base, sysconfig.get_path("purelib")}
    others = [path for path in paths if path and join(into.base, path) not in usual]
    if others:
        into.set("python_path", others, directive)
    else:
        into.draft.find(directive, UNNEEDED, "modules are looked for there anyway")

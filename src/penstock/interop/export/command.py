"""One `penstock export`: looks at the project, has the kind's module say it; prints, compares or writes the files."""

import importlib
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from penstock import log
from penstock.config import Config
from penstock.errors import UsageError
from penstock.interop.export import files
from penstock.interop.export.deployment import Deployment, Exported, Wishes, gather
from penstock.interop.export.flags import EACH, KINDS
from penstock.interop.export.sites import export_each, gather_all, own_address, refuse


class Asked(NamedTuple):
    """What the command line asks to be done."""

    kind: str
    write: str | None = None  # a directory
    diff: bool = False
    force: bool = False
    json: bool = False


class Colours(NamedTuple):
    """Whether standard output, and standard error, show them."""

    output: bool
    error: bool


def run(
    config: Config, sites: Mapping[str, Config], environment: Mapping[str, str], asked: Asked, wishes: Wishes
) -> int:
    """Does it for one site, or for all of `sites`; 1 when --diff shows something. Raises PenstockError."""
    check(asked, wishes)
    place = Path(os.path.abspath(asked.write or "."))  # now: looking at the project changes the working directory
    exported = (
        export_all(asked.kind, config, sites, wishes) if sites else export_one(config, environment, asked, wishes)
    )
    colours = Colours(log.has_colour(1), log.has_colour(2))
    status = 0
    if asked.json:
        print(json.dumps(exported._asdict()))
    elif asked.diff:
        text = files.differences(place, exported.files, colours.output)
        print(text, end="")
        status = int(bool(text))
    elif asked.write is not None:
        for line in files.write(place, exported.files, asked.force):
            print(line)
    else:
        print(files.printed(exported.files), end="")
    if not asked.json:
        tell(exported, asked, colours.error)
    return status


def export_one(config: Config, environment: Mapping[str, str], asked: Asked, wishes: Wishes) -> Exported:
    """The only site, or one of several that was asked for by name."""
    config = own_address(asked.kind, config)
    deployment = gather(config, environment, wishes)
    exported = export(asked.kind, deployment)
    return exported._replace(notes=list(dict.fromkeys([*deployment.notes, *exported.notes])))


def export_all(kind: str, config: Config, sites: Mapping[str, Config], wishes: Wishes) -> Exported:
    """Several sites."""
    refuse(kind, list(sites))
    return (
        export_each(kind, sites, wishes)
        if KINDS[kind].sites == EACH
        else export(kind, gather_all(config, sites, wishes))
    )


def check(asked: Asked, wishes: Wishes) -> None:
    """UsageError for options that do not go together, and values that no file could hold."""
    if asked.force and asked.write is None:
        raise UsageError("--force says nothing without --write", "--write DIR names where the files go")
    if wishes.name and not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", wishes.name):
        raise UsageError(f"{wishes.name!r} cannot be the name of a site", "use small letters, digits and hyphens")
    port = re.fullmatch(r"(?:(?:\[[0-9A-Fa-f:.]+\]|[\w.*-]+):)?([0-9]{1,5})", wishes.listen or "80")
    if not port or not 0 < int(port[1]) < 65536:
        raise UsageError(f"--listen cannot be {wishes.listen!r}", "it is PORT or HOST:PORT, as in 127.0.0.1:8080")
    if wishes.image and re.search(r"[\s\"']", wishes.image):
        raise UsageError(f"--image cannot be {wishes.image!r}", "it is REGISTRY/NAME:TAG")


def export(kind: str, deployment: Deployment) -> Exported:
    """The files of a kind; its module is imported for nobody else."""
    module = importlib.import_module(f"penstock.interop.export.{KINDS[kind].module}")
    exported: Exported = module.export(deployment)
    return exported


def tell(exported: Exported, asked: Asked, has_colour: bool) -> None:
    """What the files do not say, and what to do with them, on standard error."""
    yellow, bold, plain = ("\x1b[33m", "\x1b[1m", "\x1b[0m") if has_colour else ("", "", "")
    for note in exported.notes:
        print(f"{yellow}note:{plain} {note}", file=sys.stderr)
    if asked.write is not None and not asked.diff:
        for step in exported.steps:
            print(f"{bold}next:{plain} {step}", file=sys.stderr)

"""The kinds of export, and the one command that has them: gathers, exports, then prints, compares or writes."""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from penstock.config import Config
from penstock.interop.export import files
from penstock.interop.export.deployment import Exported, Wishes, gather
from penstock.interop.export.flags import KINDS


class Asked(NamedTuple):
    """What the command line asks to be done with the files."""

    kind: str
    write: str | None = None  # a directory
    diff: bool = False
    force: bool = False


def run(config: Config, environment: Mapping[str, str], asked: Asked, wishes: Wishes, colours: tuple[bool, bool]) -> int:
    """Does it; the status is 1 when --diff shows something. `colours` says whether output and error have them."""
    deployment = gather(config, environment, wishes)
    exported: Exported = importlib.import_module(f"penstock.interop.export.{KINDS[asked.kind].module}").export(deployment)
    start = Path(asked.write or ".")

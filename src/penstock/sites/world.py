"""The world of one site: its interpreter, directory, user, variables and limits. Starts processes in it."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from penstock.config import Config


class World(NamedTuple):
    """What is a site's own; `limits` are numbers by name."""

    python: str
    directory: str
    user: str
    group: str
    umask: str
    environment: Mapping[str, str]
    limits: Mapping[str, int]


def start_in_world(world: World, arguments: Sequence[str], pass_fds: Sequence[int]) -> int:
    """Starts the site's interpreter with these arguments. Returns the pid. OSError when the system refuses."""
    process = subprocess.Popen(
        [world.python, *arguments], cwd=world.directory, env=os.environ | dict(world.environment), pass_fds=pass_fds
    )
    process.returncode = 0  # the loop reaps it, like everybody
    return process.pid


def world_of(config: Config, environment: Mapping[str, str]) -> World:
    """The world that a site's configuration asks for."""
    return World(sys.executable, config.directory, config.user, config.group, config.umask, environment, {})

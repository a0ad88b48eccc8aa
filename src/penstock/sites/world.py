"""The world of one site: its interpreter, directory, user, variables and limits. Starts a process in it.

Nothing of the site runs before the process is the site's user. Nothing of ours is left in it but what is handed down.
"""

import contextlib
import json
import os
import signal
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, NoReturn

from penstock import cgroups, log
from penstock._native import version
from penstock.config import DJANGO_ENV, Config
from penstock.errors import ConfigurationError, PenstockError, from_message
from penstock.interpreter import ask, environment_root, python_of
from penstock.privileges import Identity, become, give_logs, identity_of
from penstock.process_limits import ProcessLimits, process_limits_of
from penstock.processes import INHERITED, signals_blocked
from penstock.settings import BY_NAME

# What every site gets of our variables: where programs and certificates are, how people write and count time here,
# what is said of all sites (PENSTOCK_…). All else could be a secret, or another site's: DJANGO_SETTINGS_MODULE is.
SHARED = frozenset(
    {
        *("PATH", "LANG", "LANGUAGE", "TZ", "TERM", "NO_COLOR", "SSL_CERT_FILE", "SSL_CERT_DIR"),
        *("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", DJANGO_ENV),
    }
)
SHARED_PREFIXES = ("LC_", "PENSTOCK_")
# What a site gets that runs as the same user.
PERSONAL = frozenset({"HOME", "USER", "LOGNAME", "TMPDIR"})


LOG_MODE = 0o640  # other sites' users may not read it


class World(NamedTuple):
    """What is a site's own."""

    python: str
    origin: str  # who named the interpreter
    directory: str
    identity: Identity | None  # None: the same user
    umask: str
    environment: Mapping[str, str]
    limits: ProcessLimits
    group: str  # the directory of its cgroup; "" for that of the parent
    reads: Collection[str]  # files that the site has to read before all else
    writes: Collection[str]  # log files, which root makes for it


def world_of(config: Config, environment: Mapping[str, str]) -> World:
    """The world that a site's configuration asks for, with some variables more. Raises ConfigurationError."""
    identity = identity_of(config)
    python = python_of(config)
    limits = process_limits_of(config)._replace(core_dumps=identity is None)
    group, problem = group_of(config)
    if problem:
        limits = limits._replace(memory=limits.memory or config.site_memory)
        shown = BY_NAME["limit_memory"].kind.show(limits.memory)
        log.warning(f"site_memory of the site {config.site}: {problem}; each process may have {shown} instead")
    return World(
        python=python or sys.executable,
        origin=config.origin("python" if config.python else "venv") if python else "Penstock's own",
        directory=config.directory,
        identity=identity,
        umask=config.umask,
        environment=variables(os.environ, identity, python, config.directory) | dict(environment),
        limits=limits,
        group=group,
        reads=[file for file in (config.file, config.site_file) if file],
        writes=[config.error_log, config.access_log],
    )


def group_of(config: Config) -> tuple[str, str]:
    """The directory of the site's cgroup, if it wants one; or why there is none."""
    if not config.site_memory:
        return "", ""
    ground = cgroups.own_ground()
    if ground.problem:
        return "", ground.problem
    try:
        return cgroups.make_group(ground, config.site, config.site_memory), ""
    except OSError as error:
        return "", f"{error.filename or ground.directory}: {error.strerror}"


def give_logs_anew(config: Config) -> None:
    """Makes the log files of a site after a rotation, and leaves them to its user. Raises ConfigurationError."""
    identity = identity_of(config)
    if identity:
        give_logs(identity, config.error_log, config.access_log, mode=LOG_MODE)


def variables(real: Mapping[str, str], identity: Identity | None, python: str, directory: str) -> dict[str, str]:
    """The variables of a site before anybody sets one for it."""
    chosen = SHARED if identity else SHARED | PERSONAL
    given = {
        name: value
        for name, value in real.items()
        if (name in chosen or name.startswith(SHARED_PREFIXES)) and name != INHERITED
    }
    if identity:
        given |= {"HOME": identity.home, "USER": identity.name, "LOGNAME": identity.name}
    root = environment_root(python) if python else ""
    if root:  # as its bin/activate would
        given |= {
            "VIRTUAL_ENV": root,
            "PATH": os.pathsep.join((os.path.dirname(python), given.get("PATH", os.defpath))),
        }
    return given | {"PWD": directory}


def start_in_world(world: World, arguments: Sequence[str], pass_fds: Sequence[int]) -> int:
    """Executes the site's interpreter with these arguments. Returns the pid; the caller waits for it.

    Raises PenstockError when the world cannot be entered, OSError when the system refuses a process.
    """
    if world.identity or world.python != sys.executable:
        refuse_other_version(world)
    if world.identity:
        give_logs(world.identity, *world.writes, mode=LOG_MODE)
    reader, writer = os.pipe()
    with signals_blocked():
        try:
            pid = os.fork()
        except OSError:
            os.close(reader)
            os.close(writer)
            raise
        if not pid:
            leave_for(world, arguments, pass_fds, writer)
    os.close(writer)
    with open(reader, "rb") as pipe:
        refusal = pipe.read()  # ends when the interpreter is executed: the other end closes then
    if refusal:
        os.waitpid(pid, 0)
        raise from_message(json.loads(refusal))
    return pid


def refuse_other_version(world: World) -> None:
    """ConfigurationError unless the site's interpreter has this Penstock: parent and site speak without a version."""
    facts = ask(world.python, world.origin, world.environment, world.identity)
    if facts.penstock != version():
        raise ConfigurationError(
            f"{world.python} ({world.origin}) has Penstock {facts.penstock}, and this is {version()}",
            f"all sites of one server need the same: `{world.python} -m pip install penstock=={version()}`",
        )


def leave_for(world: World, arguments: Sequence[str], pass_fds: Sequence[int], writer: int) -> NoReturn:
    """In the new process: becomes what the world asks for, or says why it cannot."""
    try:
        enter(world, pass_fds)
        os.execve(world.python, [world.python, *arguments], dict(world.environment))
    except PenstockError as error:
        refusal = error
    except OSError as error:
        refusal = PenstockError(f"{error.filename or world.python}: {error.strerror}")
    except BaseException as error:  # whatever it is: no second parent may go on from here
        refusal = PenstockError(f"{type(error).__name__}: {error}")
    os.write(writer, json.dumps(refusal.to_message()).encode())
    os._exit(1)


def enter(world: World, pass_fds: Sequence[int]) -> None:
    """Makes this process the site's. Raises PenstockError or OSError."""
    forget_signals()
    os.setsid()  # no terminal of ours: a site could type into it
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    world.limits.apply()
    if world.group:
        cgroups.join(world.group)  # only who may write to the parent's group can move into it: not the site's user
    if world.identity:
        become(world.identity)
    if world.umask:
        os.umask(int(world.umask, 8))
    refuse_unreadable(world)
    os.chdir(world.directory)
    for fd in [int(name) for name in os.listdir("/proc/self/fd")]:
        if fd > 2:
            with contextlib.suppress(OSError):  # the one that listed them is gone
                os.set_inheritable(fd, fd in pass_fds)


def forget_signals() -> None:
    """Gives up the parent's handlers and its wakeup pipe, and lets signals in again.

    All but one: "open the logs anew" may come before the new supervisor listens, and would end it.
    """
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with contextlib.suppress(OSError):  # the C library keeps some for itself
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR1})


def refuse_unreadable(world: World) -> None:
    """ConfigurationError when this process, which is the site's user by now, may not read what it begins with."""
    for place in (world.directory, *world.reads):
        if not os.access(place, os.R_OK | (os.X_OK if place == world.directory else 0)):
            raise ConfigurationError(
                f"{world.identity or 'this user'} may not read {place}",
                f"each directory on the way there must let that user in: `namei -l {place}` shows which one does not",
            )

"""Where the control socket of a project is, so that `penstock status` finds it from the project's directory.

The name holds the project's name, a hash of its directory, and the supervisor's pid: several may serve one project.
"""

import contextlib
import os
import re
import socket
import stat
from zlib import crc32

from penstock.config import Config, find_above


def home_of(config: Config) -> str:
    """The directory that stands for the project: of penstock.toml, of manage.py, or the working directory."""
    path = config.file or find_above(config.directory, "manage.py")
    return os.path.normpath(os.path.dirname(path) if path else config.directory)


def key_of(home: str) -> str:
    """What the names of the sockets of the project in a directory begin with."""
    name = re.sub(r"[^A-Za-z0-9_]+", "-", os.path.basename(home))[:24].strip("-")
    return f"{name or 'site'}-{crc32(os.fsencode(home)):08x}"


def directories() -> list[str]:
    """Where sockets may be, the best place first."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    own = os.path.join(os.environ.get("TMPDIR") or "/tmp", f"penstock-{os.geteuid()}")
    return [*([os.path.join(runtime, "penstock")] if runtime else []), "/run/penstock", own]


def choose_directory() -> str:
    """The first place that is ours and can be written to, made if need be. OSError tells why the last one cannot."""
    *others, last = directories()
    for directory in others:
        with contextlib.suppress(OSError):
            return make(directory)
    return make(last)


def make(directory: str) -> str:
    """Makes a directory for nobody else. PermissionError when it is somebody else's, or open to others."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(directory, 0o700)
    found = os.lstat(directory)
    # In a directory that everybody may write to, anybody may have made it first.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise PermissionError(0, f"{directory} is not ours alone")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise PermissionError(0, f"{directory} cannot be written to")
    return directory


def path_for(config: Config) -> str:
    """Where this process puts its control socket. OSError when there is no place."""
    if config.control != "auto":
        return str(config.control)
    return os.path.join(choose_directory(), f"{key_of(home_of(config))}.{os.getpid()}.sock")


def living() -> list[str]:
    """The control sockets on which somebody listens; those of dead processes are removed."""
    found = []
    for directory in directories():
        with contextlib.suppress(OSError):
            paths = (os.path.join(directory, name) for name in sorted(os.listdir(directory)))
            found += [path for path in paths if path.endswith(".sock") and is_answered(path)]
    return found


def serving(config: Config, paths: list[str]) -> list[str]:
    """Those of the paths that belong to the project, by its directory's name or by where a link leads."""
    home = home_of(config)
    keys = {key_of(home), key_of(os.path.realpath(home))}
    return [path for path in paths if os.path.basename(path).partition(".")[0] in keys]


def is_answered(path: str) -> bool:
    """Whether somebody listens. A socket that refuses is a dead process's, and is removed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            with contextlib.suppress(OSError):
                os.unlink(path)
            return False
        except OSError:
            return False
    return True

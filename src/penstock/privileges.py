"""Root's rights, and how a process gives them up for good: after root has bound and opened what it has to.

Refuses what only root can do when nobody is root, and users that the system does not know by their names.
"""

import contextlib
import os
import stat
import sys
from typing import NamedTuple

from penstock.config import Config
from penstock.errors import ConfigurationError, PenstockError, nearest


class Identity(NamedTuple):
    """Who the site's processes are to be."""

    uid: int
    gid: int
    groups: list[int]
    name: str  # "" when the system knows only the number
    home: str

    def __str__(self) -> str:
        return self.name or f"the user {self.uid}"


def identity_of(config: Config) -> Identity | None:
    """Whom `user` and `group` name; None when nothing is to be given up. Raises ConfigurationError."""
    if not config.user and not config.group:
        return None
    import pwd  # noqa: PLC0415 (off by default)

    own = str(os.geteuid())
    try:
        entry = (
            pwd.getpwuid(int(config.user or own)) if (config.user or own).isdecimal() else pwd.getpwnam(config.user)
        )
        uid, gid, name, home = entry.pw_uid, entry.pw_gid, entry.pw_name, entry.pw_dir
    except KeyError:
        if not config.user.isdecimal():
            raise unknown("user", config, [entry.pw_name for entry in pwd.getpwall()]) from None
        if not config.group:
            raise ConfigurationError(
                f"the system does not know the user {config.user} ({config.origin('user')}), so it has no group",
                "name a group too, with --group",
            ) from None
        uid, gid, name, home = int(config.user), -1, "", "/"
    gid = group_of(config) if config.group else gid
    if os.geteuid():
        if (uid, gid) == (os.geteuid(), os.getegid()):
            return None
        setting = "user" if config.user else "group"
        raise ConfigurationError(
            f"only root can become {config.values[setting].value} ({config.origin(setting)})",
            "start Penstock as root, or as that user: User= in a systemd unit, USER in a Dockerfile",
        )
    return Identity(uid, gid, os.getgrouplist(name, gid) if name else [gid], name, home)


def group_of(config: Config) -> int:
    """The number of the group that `group` names."""
    import grp  # noqa: PLC0415 (off by default)

    if config.group.isdecimal():
        return int(config.group)
    try:
        return grp.getgrnam(config.group).gr_gid
    except KeyError:
        raise unknown("group", config, [entry.gr_name for entry in grp.getgrall()]) from None


def unknown(setting: str, config: Config, names: list[str]) -> ConfigurationError:
    """The error for a name that the system does not know."""
    name = config.values[setting].value
    return ConfigurationError(f"there is no {setting} {name!r} ({config.origin(setting)})", nearest(name, names))


def become(identity: Identity) -> None:
    """Gives root's rights up in this process, and makes sure that they are gone. Raises PenstockError."""
    try:
        # In this order: who is no longer root cannot change groups.
        os.setgroups(identity.groups)
        os.setresgid(identity.gid, identity.gid, identity.gid)
        os.setresuid(identity.uid, identity.uid, identity.uid)
    except OSError as error:
        raise PenstockError(
            f"the system does not let this process become {identity}: {error.strerror}",
            "a container needs the capabilities SETUID and SETGID for that",
        ) from error
    assert os.getresuid() == (identity.uid,) * 3, "every user id has changed"
    assert os.getresgid() == (identity.gid,) * 3, "every group id has changed"
    assert set(os.getgroups()) == set(identity.groups), "no other group is left"
    if identity.uid:
        with contextlib.suppress(PermissionError):
            os.setuid(0)
            raise AssertionError("root's rights cannot be taken back")
    os.environ.update({"HOME": identity.home, "USER": identity.name, "LOGNAME": identity.name})


def check_access(identity: Identity, directory: str) -> None:
    """Whether this process, which is somebody else by now, may read what it loads. Raises ConfigurationError."""
    for place in (directory, sys.base_prefix, sys.prefix, os.path.dirname(__file__)):
        if not os.access(place, os.R_OK | os.X_OK):
            raise ConfigurationError(
                f"{identity} may not read {place}",
                "each directory on the way there must let that user in: `namei -l` shows which one does not",
            )


def give_logs(identity: Identity, *paths: str, mode: int = 0o644) -> None:
    """Makes log files and leaves them to the user, who has to open them anew after a rotation.

    `mode` says what others may do with them at most, also where root has made them before. Only what is root's own
    changes hands: no link is followed, so that the user cannot have other files given to it.
    """
    for path in paths:
        if path in ("", "-"):
            continue
        with contextlib.suppress(OSError):  # said by those who write to it
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, mode)
            try:
                found = os.fstat(fd)
                if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and not found.st_uid:
                    os.fchmod(fd, stat.S_IMODE(found.st_mode) & (mode | 0o770))
                    os.fchown(fd, identity.uid, identity.gid)
            finally:
                os.close(fd)

"""Whose the log files of several sites are. Pure; refuses a file that processes of different users would write to."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from penstock.config import Config
from penstock.errors import ConfigurationError, PenstockError
from penstock.privileges import identity_of

LOG_FILES = ("error_log", "access_log")


class Writer(NamedTuple):
    """Who writes to a file."""

    file: str
    name: str  # of the site; "" for the parent and its front
    user: str  # "" for the parent's
    origin: str


def refuse_shared_logs(server: Config, sites: Mapping[str, Config]) -> None:
    """ConfigurationError when a file would be written by several users: only one of them can own it."""
    known: dict[str, Writer] = {}
    of_sites = (writer for name, config in sites.items() for writer in writers_of_site(name, config))
    for writer in (*writers("", "", server), *of_sites):
        first = known.setdefault(writer.file, writer)
        if first.user != writer.user:
            raise ConfigurationError(
                f"{shown(first)} and {shown(writer)} would both write to {writer.file} ({writer.origin})",
                f"only one user can own a file: name another one for the site {writer.name}, "
                'or "-" for the common output',
            )


def writers_of_site(name: str, config: Config) -> Iterator[Writer]:
    """The writers of a site; none when its user is not known, which is said when it starts."""
    try:
        identity = identity_of(config)
    except PenstockError:
        return iter(())
    return writers(name, str(identity) if identity else "", config)


def writers(name: str, user: str, config: Config) -> Iterator[Writer]:
    """Who writes to the files of a configuration."""
    for setting in LOG_FILES:
        file = getattr(config, setting)
        if file not in ("", "-"):
            yield Writer(file, name, user, config.origin(setting))


def shown(writer: Writer) -> str:
    """A writer, for a person."""
    if not writer.name:
        return "Penstock itself"
    return f"the site {writer.name} ({writer.user or 'the user of Penstock'})"

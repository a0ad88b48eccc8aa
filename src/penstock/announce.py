"""The block of lines at the start: what was found, by which rule, where it is served. Written once, for a person."""

from collections.abc import Mapping
from typing import Any

from penstock import __version__, log
from penstock.config import Config
from penstock.settings import BY_NAME
from penstock.sockets import Listener


def announce(config: Config, listeners: list[Listener], workers: int, threads: int, facts: Mapping[str, Any]) -> None:
    """Writes the block to the log's place; a line for each fact when the log is for programs."""
    rows = lines(config, listeners, workers, threads, facts)
    if log.journal.is_for_people:
        title = f"The site {log.journal.site}" if log.journal.site else f"Penstock {__version__}"
        log.journal.put(block(rows, log.journal.colour, title))
        return
    for label, value, reason in rows:
        log.info(f"{label}: {value}" + (f" ({reason})" if reason else ""))


def lines(
    config: Config, listeners: list[Listener], workers: int, threads: int, facts: Mapping[str, Any]
) -> list[tuple[str, str, str]]:
    """The facts as (label, value, reason)."""
    found = [("application", facts["name"], facts["rule"])]
    found += [("middleware", target, config.origin("middleware")) for target in config.middleware]
    found += [("mount", f"{url} → {target}", config.origin("mounts")) for url, target in config.mounts.items()]
    if facts["settings"]:
        found.append(("settings", facts["settings"], facts["settings_origin"]))
    found.append(("directory", facts["directory"], ""))
    if log.journal.site:  # its addresses are the parent's
        found.append(("hosts", ", ".join([*config.hosts, *(["every other"] if config.default else [])]), ""))
    else:
        found += [("address", listener.url, listener.origin or config.origin("bind")) for listener in listeners]
    many = "worker" if workers == 1 else "workers"
    found.append(("processes", f"{workers} {many} × {threads} threads", config.origin("workers")))  # noqa: RUF001
    for mount in facts["mounts"]:
        found.append(("files", f"{mount['prefix']} → {', '.join(mount['roots'])}", ""))
    rules = BY_NAME["auth"].kind
    found += [("guarded", rules.show([rule]), config.origin("auth")) for rule in config.auth]
    return found


def block(rows: list[tuple[str, str, str]], has_colour: bool, title: str) -> str:
    """The rows aligned, below the title."""
    bold, dim, plain = ("\x1b[1m", "\x1b[2m", "\x1b[0m") if has_colour else ("", "", "")
    labels = max(len(label) for label, _, _ in rows)
    values = max((len(value) for _, value, reason in rows if reason), default=0)
    text = [f"{bold}{title}{plain}"]
    for label, value, reason in rows:
        shown = f"{value:{values}}  {dim}{reason}{plain}" if reason else value
        text.append(f"  {dim}{label:{labels}}{plain}  {shown}")
    return "\n".join(text) + "\n"

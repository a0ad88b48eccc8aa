"""What `penstock status`, `reload` and the others do when there are several sites. Prints nothing itself.

The parent is asked where a site's supervisor listens; what is about one site is asked there.
"""

import json
import time
from collections.abc import Mapping
from typing import Any

from penstock import log
from penstock.admin.client import PAUSE, Connection, NoSupervisor, ask_one
from penstock.admin.status import Facts, age, columns_of_output, describe, mebibytes, milliseconds
from penstock.errors import PenstockError, UsageError, nearest
from penstock.processes import memory_of

COLUMNS = ("site", "state", "for", "gen", "workers", "requests", "p99", "memory", "answers")

# Counters of the front that are told when they are not 0.
UNUSUAL = {
    "connections_held": "held {}",
    "rejected": "refused {} (503)",
    "unknown_hosts": "unknown hosts {} (421)",
}


def ask_sites(connection: Connection, options: Mapping[str, Any], snapshot: Mapping[str, Any]) -> str:
    """Does a command with one site, or with all. Returns what is to be printed. Raises PenstockError."""
    command, name = options["command"], options.get("site") or ""
    if not name and command in ("rollback", "scale", "restart"):
        raise nameless(command, snapshot)
    sites = [find_site(snapshot, name)] if name else snapshot["sites"]
    # Only the parent may make log files for a site's user.
    if command == "reopen-logs" or (command == "upgrade" and not name):
        connection.ask(command, **({"site": name} if name else {}))
        return ""
    match command:
        case "stop":
            if name:
                stop(connection, sites[0])
            else:
                connection.ask("stop")
                connection.wait_for_end()
            return ""
        case "reload":
            return reload(connection, sites, name)
        case "status" if not name:
            return status(snapshot, options["json"])
    if name:
        try:
            return ask_site(sites[0], options)
        except NoSupervisor:  # it has ended meanwhile
            raise absent(find_site(connection.ask("status"), name)) from None
    return "\n".join(f"site {site['name']}\n\n{ask_site(site, options)}" for site in sites if site["pid"])


def stop(parent: Connection, site: Mapping[str, Any]) -> None:
    """Stops one site, and waits until its supervisor has left."""
    if not site["pid"] or not site["control"]:
        parent.ask("stop", site=site["name"])
        return
    with Connection(site["control"]) as supervisor:
        parent.ask("stop", site=site["name"])
        supervisor.wait_for_end()


def find_site(snapshot: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """One site of the parent's snapshot. UsageError when it is not there."""
    names = [site["name"] for site in snapshot["sites"]]
    if name not in names:
        raise UsageError(f"there is no site {name!r}", nearest(name, names) or f"the sites are {', '.join(names)}")
    found: Mapping[str, Any] = snapshot["sites"][names.index(name)]
    return found


def nameless(command: str, snapshot: Mapping[str, Any]) -> UsageError:
    """The error for a command that is about one site, and names none."""
    names = ", ".join(site["name"] for site in snapshot["sites"])
    return UsageError(f"{command} needs the name of a site", f"the sites are {names}")


def control_of(snapshot: Mapping[str, Any], name: str) -> str:
    """Where the supervisor of a site listens, for `penstock top`."""
    if not name:
        raise nameless("top", snapshot)
    with supervisor_of(find_site(snapshot, name)) as connection:
        return connection.path


def supervisor_of(site: Mapping[str, Any]) -> Connection:
    """A conversation with the supervisor of a site. PenstockError when it has none."""
    if not site["pid"]:
        raise absent(site)
    return Connection(site["control"])


def absent(site: Mapping[str, Any]) -> PenstockError:
    """The error for a site whose supervisor cannot be asked."""
    reason = f": {site['error']}" if site["error"] else ""
    return PenstockError(
        f"the site {site['name']} is {site['state']}{reason}",
        f"`penstock reload {site['name']}` starts it, or says why it cannot",
    )


def ask_site(site: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """Does a command with one site."""
    with supervisor_of(site) as connection:
        return ask_one(connection, options)


def reload(connection: Connection, sites: list[Mapping[str, Any]], name: str) -> str:
    """Has sites load their code anew, each when the one before serves. What fails is told when all have been asked."""
    if not name:
        connection.ask("reload")
        sites = [site for site in connection.ask("status")["sites"] if site["state"] not in ("idle", "stopped")]
    done, failed = [], []
    for site in sites:
        try:
            if not site["pid"] or site["state"] != "up":
                connection.ask("start", site=site["name"])
                done.append(f"{site['name']}: up\n")
                continue
            with supervisor_of(site) as supervisor:
                done.append(f"{site['name']}: generation {supervisor.ask('reload')['generation']} serves\n")
        except PenstockError as error:
            if name:
                raise
            failed.append((site["name"], error))
    if failed:
        detail = "\n\n".join(f"{name}: {error}" for name, error in failed)
        names = ", ".join(name for name, _ in failed)
        others = "; the others were" if done else ""
        raise PenstockError(f"{names} could not be reloaded{others}", "", detail)
    return "".join(done)


def status(snapshot: Mapping[str, Any], as_json: bool) -> str:
    """One table of all sites."""
    facts = [site | look(site) for site in snapshot["sites"]]
    if as_json:
        return json.dumps({**snapshot, "ok": None, "sites": facts}, indent=2) + "\n"
    return show(snapshot, facts, log.has_colour(1), columns_of_output()) + "\n"


def look(site: Mapping[str, Any]) -> Facts:
    """What the supervisor of a site says of itself; nothing when it has none."""
    if not site["pid"] or not site["control"]:
        return {"supervisor": None}
    try:
        with Connection(site["control"]) as connection:
            connection.end.settimeout(PAUSE)
            return {"supervisor": describe(connection.ask("status"))}
    except PenstockError:
        return {"supervisor": None}


def show(snapshot: Mapping[str, Any], sites: list[Facts], has_colour: bool, width: int) -> str:
    """The table as a person reads it."""
    from rich.console import Console  # noqa: PLC0415 (only for people)
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(width=width, no_color=not has_colour, force_terminal=has_colour, markup=False, highlight=False)
    heading = Table.grid(padding=(0, 2))
    heading.add_row(
        Text("parent", style="dim"),
        f"Penstock {snapshot['version']}, pid {snapshot['pid']}, up {age(snapshot['uptime'])}",
    )
    heading.add_row(Text("address", style="dim"), " ".join(snapshot["addresses"]))
    heading.add_row(Text("front", style="dim"), describe_front(snapshot["front"]))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    rows = [row(site) for site in sites]
    for number, name in enumerate(COLUMNS):
        # All but the last are shown whole, however narrow the terminal is.
        least = max(len(cells[number]) for cells in (COLUMNS, *rows)) if name != COLUMNS[-1] else None
        is_text = name in ("site", "state", "answers")
        table.add_column(name, justify="left" if is_text else "right", header_style="dim", min_width=least)
    for cells in rows:
        table.add_row(*cells)
    with console.capture() as capture:
        console.print(heading)
        console.print()
        console.print(table)
    errors = [f"\n{site['name']}: {site['error']}" for site in sites if site["error"]]
    return "\n".join([*(line.rstrip() for line in capture.get().splitlines()), *errors])


def describe_front(front: Mapping[str, int]) -> str:
    """What the front has done with connections; what has never happened is not said."""
    if not front["pid"]:
        return "is being started"
    parts = [f"pid {front['pid']}", f"passed on {front['connections_handed']}"]
    return ", ".join(parts + [shown.format(front[name]) for name, shown in UNUSUAL.items() if front[name]])


def row(site: Facts) -> list[str]:
    """One site's line."""
    facts = site["supervisor"]
    figures = ["-"] * 5
    if facts:
        memory = sum(one["memory"] for one in (*facts["molds"], *facts["workers"])) + memory_of(facts["pid"])
        figures = [
            str(facts["generation"]),
            str(len(facts["workers"])),
            str(sum(worker["requests"] for worker in facts["workers"])),
            milliseconds(facts["p99"]),
            mebibytes(memory),
        ]
    since = age(time.monotonic() - site["since"])
    return [site["name"], site["state"], since, *figures, " ".join(site["places"])]

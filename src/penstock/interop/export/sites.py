"""Several sites: what stands before all of them is one deployment; what serves each is exported site by site.

Looks at no application: a process of its own does, in the site's own Python, because Django has one settings module in
a process.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from penstock.config import Config, Value
from penstock.errors import KINDS as ERRORS
from penstock.errors import PenstockError, UsageError
from penstock.interop.export.deployment import Deployment, Exported, Wishes, serve_words
from penstock.interop.export.flags import EACH, KINDS, NONE

# What before all sites must allow as much as the most generous of them.
LARGEST = ("max_body", "queue_timeout", "timeout_grace", "graceful_timeout", "boot_timeout")


def gather_all(config: Config, sites: Mapping[str, Config], wishes: Wishes) -> Deployment:
    """All sites behind the addresses of the server. Reads no settings of Django's."""
    if wishes.files == "proxy":
        raise UsageError(
            "the files of several sites lie in several places, and --files proxy is for one site",
            f"Penstock serves them; or name one site, as in `penstock export nginx {next(iter(sites), 'NAME')}`",
        )
    directory = os.path.dirname(config.file or config.directory)
    values = dict(config.values)
    for name in LARGEST:
        values[name] = max((site.values[name] for site in sites.values()), key=lambda one: float(one.value))
    values["timeout"] = max((site.values["timeout"] for site in sites.values()), key=lambda one: one.value or 1e9)
    values["secrets"] = Value(sorted({name for site in sites.values() for name in site.secrets}), "sites")
    if any(site.user for site in sites.values()):
        # Who becomes other users is root.
        values["user"] = Value("root", "sites")
    has_default = any(site.default for site in sites.values())
    name = re.sub(r"[^a-z0-9]+", "-", os.path.basename(directory).lower()).strip("-")
    return Deployment(
        config=Config(values, config.directory, config.file, config.layer),
        wishes=wishes,
        name=wishes.name or name or "sites",
        directory=directory,
        module="",
        attribute="",
        modules=[],
        settings="",
        variables={},
        inherited={},
        secrets=[],
        hosts=[] if has_default else list(dict.fromkeys(host for site in sites.values() for host in site.hosts)),
        folders=[],
        guarded=[],
        protected=[],
        data=sorted({site.directory for site in sites.values()}),
        serve=list(serve_words(config, directory)),
        notes=[],
    )


def export_each(kind: str, sites: Mapping[str, Config], wishes: Wishes) -> Exported:
    """The files of each site. Raises PenstockError with the site's name."""
    if wishes.name:
        raise UsageError("--name is for one site, and there are several", "each is called as in penstock.toml")
    if kind == "mod_wsgi":
        refuse_shared_hosts(sites)
    files: dict[str, str] = {}
    notes, steps = [], []
    for name in sites:
        one = ask(name)
        files |= one["files"]
        notes += [f"{name}: {note}" for note in one["notes"]]
        steps += one["steps"]
    return Exported(files, notes, list(dict.fromkeys(steps)))


def refuse_shared_hosts(sites: Mapping[str, Config]) -> None:
    """UsageError when two sites share a host: Apache would look at the first of their virtual hosts only."""
    owners: dict[str, str] = {}
    for name, site in sites.items():
        for host in site.hosts or [""]:
            if host in owners:
                other = owners[host]
                raise UsageError(
                    f"{other} and {name} share {host or 'every other host'}, for which Apache has one VirtualHost",
                    f"export {other} and {name} by name, and put the lines of one into the VirtualHost of the other",
                )
            owners[host] = name


def ask(name: str) -> dict[str, Any]:
    """What this very command says of one site, in a process of its own. Raises PenstockError."""
    done = subprocess.run(
        [sys.executable, *sys.orig_argv[1:], "--site", name, "--json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        message, _, rest = done.stderr.removeprefix("error: ").strip().partition("\n\n")
        detail, _, hint = rest.rpartition("hint: ")
        kinds = {kind.exit_code: kind for kind in (*ERRORS.values(), PenstockError)}
        raise kinds.get(done.returncode, PenstockError)(f"{name}: {message}", hint.strip(), detail)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def refuse(kind: str, sites: Sequence[str]) -> None:
    """UsageError for a kind that has one site, and cannot have more."""
    if KINDS[kind].sites == NONE:
        raise UsageError(
            f"{kind} starts one site, and there are several",
            f"name one, as in `penstock export {kind} {sites[0]}`: an image for each, and the platform's router tells "
            "their hosts apart",
        )


def own_address(kind: str, config: Config) -> Config:
    """The configuration with an address that is this site's alone, for a server that cannot tell sites apart.

    The first site has the first address itself, the next ones the ports behind it, or sockets beside it.
    """
    bind = config.values["bind"]
    if (
        KINDS[kind].sites != EACH
        or kind == "mod_wsgi"
        or not config.site
        or bind.origin in ("--bind", "PENSTOCK_BIND")
    ):
        return config
    index = list(config.sites).index(config.site)
    host, _, port = bind.value[0].rpartition(":")
    if port.isdigit():
        address = f"{host}:{int(port) + index}"
    else:
        place = os.path.dirname(bind.value[0]) if "unix:" in bind.value[0] else "unix:/run"
        address = f"{place}/{config.site}.sock"
    values = {**config.values, "bind": Value([address], f"one address for {config.site}")}
    return Config(values, config.directory, config.file, config.layer, config.site)

"""The two sites of the guides, in the forms that the guides show: only places, ports and users are others here."""

import os
import re
import shutil
import socket
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from apache_server import MODULES, PATH, USER, skip_unless_installed
from foreign_server import PATIENCE, SCRIPTS, free_port, running
from guide_pages import BLOCK, PAGES
from two_projects import ask, two_projects


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory in the place of /srv, with both sites."""
    with two_projects() as directory:
        yield directory


def shown(guide: str, name: str) -> str:
    """A file of a guide."""
    [block] = [one for one in BLOCK.finditer(PAGES.joinpath(f"{guide}.md").read_text()) if one["name"] == name]
    return block["fenced"]


def wait_until_bound(port: int) -> None:
    """Returns when somebody listens; AssertionError when nobody ever does."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                return
    raise AssertionError(f"nobody listens on port {port}")


def test_apache_serves_the_two_sites_of_the_guide(place):
    skip_unless_installed()
    port = free_port()
    block = shown("from-mod-wsgi-daemons", "sites.conf")
    block = re.sub(r" python-home=\S+", "", block).replace("/srv/", f"{place}/").replace("*:80", f"127.0.0.1:{port}")
    block = re.sub(r"(user|group)=\w+", rf"\1={USER}", block)
    lines = [
        f"ServerRoot {place}",
        "ServerName localhost",
        f"DefaultRuntimeDir {place}",
        f"PidFile {place}/pid",
        f"Listen 127.0.0.1:{port}",
        *(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in ("mpm_event", "authz_core", "wsgi")),
        *([f"User {USER}", f"Group {USER}"] if not os.geteuid() else []),
        "ErrorLog /dev/stderr",
        "<Directory />\nRequire all granted\n</Directory>",
        f"WSGISocketPrefix {place}/wsgi",
        block,
    ]
    place.joinpath("apache.conf").write_text("\n".join(lines) + "\n")
    command = [shutil.which("apache2", path=PATH), "-f", place / "apache.conf", "-DFOREGROUND"]
    with running(command, place, "resuming normal operations"):
        for site in ("shop", "blog"):
            assert ask(port, f"{site}.example")[0] == f"{place}/{site}"


def test_the_emperor_serves_the_two_sites_of_the_guide(place):
    ports = {}
    vassals = place / "vassals"
    vassals.mkdir()
    for site in ("shop", "blog"):
        ports[site] = free_port()
        text = shown("from-uwsgi-emperor", f"{site}.ini").replace("/srv/", f"{place}/")
        text = re.sub(r"(?m)^(uid|gid|virtualenv) = .*\n", "", text)
        text = re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{ports[site]}", text)
        vassals.joinpath(f"{site}.ini").write_text(text)
    ready = r"(?s)vassal \w+\.ini is ready to accept requests"
    # Seconds for a vassal that does not hear that it is to end; it has 30 otherwise.
    patience = "--emperor-curse-tolerance=2"
    command = [SCRIPTS / "uwsgi", "--emperor", vassals, "--die-on-term", patience]
    with running(command, place, ready):
        for site in ("shop", "blog"):
            wait_until_bound(ports[site])  # one vassal is ready before the other
            assert ask(ports[site], "any.example")[:2] == [f"{place}/{site}", f"{site}.settings"]


def sites(guide: str) -> dict[str, dict[str, object]]:
    """What the penstock.toml of a guide says of its sites, but for what only one of the servers knows."""
    tables = tomllib.loads(shown(guide, "penstock.toml"))["sites"]
    common = {name: {**table, "hosts": None, "environment": None} for name, table in tables.items()}
    return {name.removesuffix("-example"): table for name, table in common.items()}


def test_both_guides_make_the_same_two_sites():
    assert sites("from-mod-wsgi-daemons") == sites("from-uwsgi-emperor")
    assert list(sites("from-uwsgi-emperor")) == ["shop", "blog"]

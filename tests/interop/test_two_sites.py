"""The two sites of the guides, in the forms that the guides show: only places, ports and users are others here."""

import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from apache_server import MODULES, PATH, USER, skip_unless_installed
from foreign_server import PATIENCE, SCRIPTS, free_port, running
from two_projects import ask, two_projects

from penstock.config import load

GUIDES = Path(__file__).parents[2] / "docs/guides"


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory in the place of /srv, with both sites."""
    with two_projects() as directory:
        yield directory


def shown(guide: str, beginning: str) -> str:
    """The block of a guide that begins with these words."""
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", GUIDES.joinpath(guide).read_text(), re.MULTILINE)
    [block] = [
        text
        for text in (re.sub("^    ", "", block, flags=re.M).strip() for block in blocks)
        if text.startswith(beginning)
    ]
    return block


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
    block = shown("from-mod-wsgi-daemons.md", "WSGIDaemonProcess")
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
    block = shown("from-uwsgi-emperor.md", "[uwsgi]").replace("/srv/", f"{place}/")
    block = re.sub(r"^(uid|gid|virtualenv) = .*\n", "", block, flags=re.MULTILINE)
    ports = {}
    vassals = place / "vassals"
    vassals.mkdir()
    for site in ("shop", "blog"):
        ports[site] = free_port()
        text = block.replace("shop", site).replace("127.0.0.1:9001", f"127.0.0.1:{ports[site]}")
        vassals.joinpath(f"{site}.ini").write_text(text + "\n")
    ready = r"(?s)vassal \w+\.ini is ready to accept requests"
    command = [SCRIPTS / "uwsgi", "--emperor", vassals, "--die-on-term"]
    with running(command, place, ready):
        for site in ("shop", "blog"):
            wait_until_bound(ports[site])  # one vassal is ready before the other
            assert ask(ports[site], "any.example")[:2] == [f"{place}/{site}", f"{site}.settings"]


def values(directory: Path, site: str) -> dict[str, object]:
    """What the penstock.toml of a directory says of a site."""
    config = load({"site": site}, {}, str(directory))
    return {name: value.value for name, value in config.values.items() if value.origin != "default"}


def test_penstock_reads_the_two_sites_of_both_guides_alike(place):
    tables, files = place / "tables", place / "files"
    files.joinpath("sites.d").mkdir(parents=True)
    tables.mkdir()
    tables.joinpath("penstock.toml").write_text(shown("from-mod-wsgi-daemons.md", "[server]"))
    files.joinpath("penstock.toml").write_text(shown("from-uwsgi-emperor.md", "sites = "))
    one = shown("from-uwsgi-emperor.md", "[site]")
    for site in ("shop", "blog"):
        files.joinpath(f"sites.d/{site}.toml").write_text(one.replace("shop", site))
        read = values(files, site)
        assert read.pop("environment") == {"DJANGO_SETTINGS_MODULE": f"{site}.settings"}
        assert read == values(tables, site)
        assert (read["user"], read["venv"], read["umask"]) == (site, f"/srv/{site}/venv", "027")

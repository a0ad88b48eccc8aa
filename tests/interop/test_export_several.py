"""Two sites of one penstock.toml, exported to whom can have several, and started with what was written."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import apache_server
import haproxy_server
import nginx_server
import pytest
from exported import AS_SYSTEMD, export
from foreign_server import SCRIPTS, free_port, neighbouring_ports, running
from two_projects import ask, two_projects

TOML = """
[server]
bind = ["127.0.0.1:{port}"]

[sites.shop]
hosts = ["shop.example", "*.shops.example"]
app = "shop.wsgi"
chdir = "shop"
workers = 1
queue_timeout = "60s"  # where tests run, a daemon may get its turn late
environment = {{ DJANGO_SETTINGS_MODULE = "shop.settings" }}

[sites.blog]
hosts = ["blog.example"]
path = "/news"
app = "blog.wsgi"
chdir = "blog"
workers = 1
queue_timeout = "60s"
venv = "{venv}"
"""
BOTH = ("shop", "blog")
UP = r"the site \w+ is up"


class Place:
    """Both sites, and what is started for them."""

    def __init__(self, directory: Path, out: Path, servers: ExitStack) -> None:
        self.directory, self.out, self.servers = directory, out, servers
        self.port, self.listen = neighbouring_ports(), free_port()
        directory.joinpath("shop/shop/settings.py").write_text("ALLOWED_HOSTS = ['django.example']\n")
        directory.joinpath("penstock.toml").write_text(TOML.format(port=self.port, venv=sys.prefix))

    def export(self, kind: str, *arguments: str) -> None:
        export(self.directory, kind, *arguments, to=self.out)

    def run(self, ready: str, *command: str | Path, **environment: str) -> None:
        self.servers.enter_context(running(command, self.directory, ready, environment))

    def penstock(self) -> None:
        self.run(UP, SCRIPTS / "penstock", "serve")

    def check(self, *ports: int) -> None:
        """Each of both hosts gets its own site; `ports` are theirs, or that of both."""
        shop, blog = ports[0], ports[-1]
        for host in ("shop.example", "one.shops.example"):
            assert ask(shop, host, "/cart")[:4] == [f"{self.directory}/shop", "shop.settings", "", "/cart"]
        assert ask(blog, "blog.example", "/news/today")[:4] == [f"{self.directory}/blog", "None", "/news", "/today"]


@pytest.fixture
def place() -> Iterator[Place]:
    with two_projects() as directory, TemporaryDirectory(prefix="several-") as out, ExitStack() as servers:
        Path(out).chmod(0o755)
        yield Place(directory, Path(out), servers)


def test_nginx_passes_the_hosts_of_both_sites_on(place):
    place.export("nginx", f"--listen=127.0.0.1:{place.listen}", "--name=both")
    place.penstock()
    place.servers.enter_context(nginx_server.start(place.out / "both.nginx.conf"))
    place.check(place.listen)
    text = place.out.joinpath("both.nginx.conf").read_text()
    assert "server_name shop.example *.shops.example blog.example;" in text


def test_apache_passes_the_hosts_of_both_sites_on(place):
    place.export("apache", f"--listen=127.0.0.1:{place.listen}", "--name=both")
    place.penstock()
    place.servers.enter_context(apache_server.start_site(place.out / "both.conf", place.listen))
    place.check(place.listen)


def test_haproxy_passes_everything_on(place):
    place.export("haproxy", f"--listen=127.0.0.1:{place.listen}")
    place.penstock()
    place.servers.enter_context(haproxy_server.start(place.out / "haproxy.cfg"))
    place.check(place.listen)


def test_a_unit_starts_both_sites(place):
    place.export("systemd", "--name=both")
    service, socket = (place.out.joinpath(f"both.{kind}").read_text() for kind in ("service", "socket"))
    words = shlex.split(re.search(r"ExecStart=(.*)", service)[1])
    address = re.search(r"ListenStream=(.*)", socket)[1]
    control = f"--control={place.out}/control"  # systemd makes /run/both
    words = [control if word.startswith("--control=") else word for word in words]
    place.run(UP, sys.executable, "-c", AS_SYSTEMD, place.directory, address, *words)
    place.check(place.port)
    assert f"ReadWritePaths=-{place.directory}/blog -{place.directory}/shop" in service


def test_a_procfile_starts_both_sites(place):
    place.export("procfile")
    line = re.search(r"(?m)^web: (.*)$", place.out.joinpath("Procfile").read_text())[1]
    place.run(UP, "sh", "-c", f"exec {SCRIPTS}/{line}", PORT=str(place.listen))
    place.check(place.listen)


def test_gunicorn_has_a_file_and_an_address_for_each_site(place):
    place.export("gunicorn")
    for site in BOTH:
        file = place.out / f"{site}.gunicorn.conf.py"
        place.run("Booting worker", SCRIPTS / "gunicorn", "--config", file, "--no-control-socket")
    place.check(place.port, place.port + 1)


def test_uwsgi_has_a_vassal_for_each_site(place):
    place.export("uwsgi")
    for site in BOTH:
        place.run("spawned uWSGI worker", SCRIPTS / "uwsgi", "--ini", place.out / f"{site}.uwsgi.ini")
    place.check(place.port, place.port + 1)


def test_mod_wsgi_has_a_virtual_host_and_processes_for_each_site(place):
    place.export("mod_wsgi", f"--listen=127.0.0.1:{place.listen}")
    text = ""
    for site in BOTH:
        shutil.copy(place.out / f"{site}.wsgi", place.directory / site)
        text += place.out.joinpath(f"{site}.conf").read_text()
    both = place.out / "both.conf"
    both.write_text(text)
    place.servers.enter_context(apache_server.start_site(both, place.listen))
    place.check(place.listen)


def test_one_site_by_its_name_is_exported_alone(place):
    place.export("gunicorn", "blog", f"--bind=127.0.0.1:{place.listen}")
    [file] = place.out.iterdir()
    place.run("Booting worker", SCRIPTS / "gunicorn", "--config", file, "--no-control-socket")
    assert ask(place.listen, "any.example", "/news/today")[0] == f"{place.directory}/blog"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["docker"], "name one, as in `penstock export docker shop`"),
        (["kubernetes"], "name one, as in `penstock export kubernetes shop`"),
        (["nginx", "--files=proxy"], "name one site, as in `penstock export nginx shop`"),
        (["gunicorn", "--name=all"], "each is called as in penstock.toml"),
        (["gunicorn", "blag"], "did you mean 'blog'?"),
    ],
)
def test_what_cannot_be_said_of_several_sites_is_refused_with_what_to_do(place, words, said):
    done = subprocess.run(
        [SCRIPTS / "penstock", "export", *words, "--write", place.out],
        cwd=place.directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert list(place.out.iterdir()) == []


def test_two_sites_of_one_host_are_no_two_virtual_hosts(place):
    toml = place.directory / "penstock.toml"
    toml.write_text(toml.read_text().replace('"blog.example"', '"shop.example"'))
    command = [SCRIPTS / "penstock", "export", "mod_wsgi"]
    done = subprocess.run(command, cwd=place.directory, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "shop and blog share shop.example" in done.stderr

"""Debian's Apache with mod_wsgi in daemon mode, in a directory of its own; the system's configuration is not read.

Started by root it serves as www-data, as Debian's own does, and mod_wsgi refuses anything else. That user must be able
to read the project and this Python's packages. Python itself is Debian's: mod_wsgi is linked to it.
"""

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from foreign_server import free_port, running

MODULES = Path("/usr/lib/apache2/modules")
USER = "www-data"
PACKAGES = sysconfig.get_path("purelib")
PATH = f"{os.environ['PATH']}:/usr/sbin"
LOADED = (
    *(
        "mpm_event",
        "authn_core",
        "authn_file",
        "authz_core",
        "authz_user",
        "authz_host",
        "auth_basic",
        "alias",
        "mime",
    ),
    *("env", "headers", "socache_shmcb", "ssl", "proxy", "proxy_http", "proxy_uwsgi", "wsgi"),
)


def skip_unless_installed() -> None:
    """Skips the test, with the reason, where Apache cannot serve a project."""
    if not (shutil.which("apache2", path=PATH) and MODULES.joinpath("mod_wsgi.so").exists()):
        pytest.skip("apache2 and libapache2-mod-wsgi-py3 are not installed: `make system-packages` installs them")
    if not os.geteuid() and subprocess.run(["test", "-x", PACKAGES], user=USER, group=USER, check=False).returncode:
        pytest.skip(f"the user {USER}, as whom Apache serves, may not read {PACKAGES}")


@contextmanager
def start(
    project: Path, script: str, *directives: str, static: Path | None = None, **environment: str
) -> Iterator[str]:
    """Serves the WSGI file `script` ("mysite/wsgi.py") of the project, and `static` at /static/; yields the base URL.

    `directives` are lines to add to the configuration.
    """
    port = free_port()
    lines = [
        "<Directory />\nRequire all granted\n</Directory>",
        *([f"Alias /static/ {static}/"] if static else []),
        f"WSGIDaemonProcess site threads=4 home={project} python-path={project}:{PACKAGES}",
        "WSGIProcessGroup site",
        "WSGIApplicationGroup %{GLOBAL}",
        f"WSGIScriptAlias / {project}/{script}",
        *directives,
    ]
    with (
        prepared(port, *lines) as command,
        running([*command, "-DFOREGROUND"], project, "resuming normal operations", environment),
    ):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def start_site(site: Path, port: int, **environment: str) -> Iterator[None]:
    """Serves the site of a file that could be in sites-enabled."""
    with (
        prepared(port, f"Include {site}") as command,
        running([*command, "-DFOREGROUND"], site.parent, "resuming normal operations", environment),
    ):
        yield


def check_site(site: Path, port: int) -> None:
    """CalledProcessError when Apache does not take the file."""
    with prepared(port, f"Include {site}") as command:
        subprocess.run([*command, "-t"], check=True, timeout=60)


@contextmanager
def prepared(port: int, *lines: str) -> Iterator[list[str]]:
    """The command line of an Apache that listens on the port, with these lines added to what every Apache needs."""
    skip_unless_installed()
    with TemporaryDirectory(prefix="apache-") as place:
        os.chmod(place, 0o755)
        configuration = Path(place, "apache.conf")
        configuration.write_text(
            "\n".join(
                [
                    f"ServerRoot {place}",
                    "ServerName localhost",
                    f"DefaultRuntimeDir {place}",
                    f"PidFile {place}/pid",
                    f"Listen 127.0.0.1:{port}",
                    *(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in LOADED),
                    *([f"User {USER}", f"Group {USER}"] if not os.geteuid() else []),
                    "ErrorLog /dev/stderr",
                    "TypesConfig /etc/mime.types",
                    f"WSGISocketPrefix {place}/wsgi",
                    *lines,
                    "",
                ]
            )
        )
        yield [str(shutil.which("apache2", path=PATH)), "-f", str(configuration)]

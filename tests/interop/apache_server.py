"""Debian's Apache with mod_wsgi in daemon mode, in a directory of its own; the system's configuration is not read.

Started by root it serves as www-data, as Debian's own does, and mod_wsgi refuses anything else. That user must be able
to read the project and this Python's packages. Python itself is Debian's: mod_wsgi is linked to it.
"""

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from foreign_server import free_port, running

MODULES = Path("/usr/lib/apache2/modules")
USER = "www-data"
PACKAGES = sysconfig.get_path("purelib")
PATH = f"{os.environ['PATH']}:/usr/sbin"


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

    `directives` are lines of the configuration that come ahead of the script's own.
    """
    lines = [
        *([f"Alias /static/ {static}/"] if static else []),
        f"WSGIDaemonProcess site threads=4 home={project} python-path={project}:{PACKAGES}",
        "WSGIProcessGroup site",
        "WSGIApplicationGroup %{GLOBAL}",
        *directives,
        f"WSGIScriptAlias / {project}/{script}",
    ]
    with serving(project, ("alias", "mime", "env", "wsgi"), lines, environment) as address:
        yield address


@contextmanager
def start_in_front(upstream: str, directory: Path) -> Iterator[str]:
    """Hands everything to `upstream` ("http://127.0.0.1:8000"); yields the base URL."""
    lines = [
        "ProxyRequests Off",
        "ProxyPreserveHost On",
        "AllowEncodedSlashes NoDecode",
        "MergeSlashes Off",
        'RequestHeader set X-Forwarded-Proto "http"',
        f"ProxyPass / {upstream}/ nocanon",
    ]
    with serving(directory, ("headers", "proxy", "proxy_http"), lines, {}) as address:
        yield address


@contextmanager
def serving(
    directory: Path, modules: Sequence[str], directives: Sequence[str], environment: Mapping[str, str]
) -> Iterator[str]:
    """Runs Apache with these modules and lines; yields the base URL."""
    skip_unless_installed()
    port = free_port()
    with TemporaryDirectory(prefix="apache-") as place:
        os.chmod(place, 0o755)
        lines = [
            f"ServerRoot {place}",
            "ServerName localhost",
            f"DefaultRuntimeDir {place}",
            f"PidFile {place}/pid",
            f"Listen 127.0.0.1:{port}",
            *(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in ("mpm_event", "authz_core", *modules)),
            *([f"User {USER}", f"Group {USER}"] if not os.geteuid() else []),
            "ErrorLog /dev/stderr",
            *(["TypesConfig /etc/mime.types"] if "mime" in modules else []),
            *([f"WSGISocketPrefix {place}/wsgi"] if "wsgi" in modules else []),
            "<Directory />\nRequire all granted\n</Directory>",
            *directives,
        ]
        configuration = Path(place, "apache.conf")
        configuration.write_text("\n".join(lines) + "\n")
        command = [shutil.which("apache2", path=PATH), "-f", configuration, "-DFOREGROUND"]
        with running(command, directory, "resuming normal operations", environment):
            yield f"http://127.0.0.1:{port}"

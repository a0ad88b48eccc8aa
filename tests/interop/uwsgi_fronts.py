"""Real web servers that speak uwsgi to a site: nginx with Debian's uwsgi_params, Apache's mod_proxy_uwsgi.

The systems' own sites are not read; nothing but the lines that name the site differs from what people have.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import penstock_server
import pytest
from apache_server import MODULES, PATH, USER
from foreign_server import free_port, running

PARAMETERS = Path("/etc/nginx/uwsgi_params")
MOUNTED = "/mounted"


@contextmanager
def nginx(site: str) -> Iterator[str]:
    """Passes everything on to `site` ("127.0.0.1:3031", "unix:/run/site.sock"), and /mounted without that prefix, in
    both ways that people write; yields the base URL.
    """
    program = shutil.which("nginx", path=PATH)
    if not (program and PARAMETERS.exists()):
        pytest.skip("nginx is not installed: `make system-packages` installs it")
    port = free_port()
    temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    with TemporaryDirectory(prefix="nginx-") as place:
        configuration = Path(place, "nginx.conf")
        configuration.write_text(f"""
            {"" if os.geteuid() else "user root;"}
            daemon off;
            worker_processes 1;
            error_log stderr notice;
            pid {place}/pid;
            events {{}}
            http {{
                access_log off;
                client_max_body_size 64m;
                large_client_header_buffers 4 32k;
                {"".join(f"{name}_temp_path {place}/{name};" for name in temporary)}
                server {{
                    listen 127.0.0.1:{port};
                    server_name shop.example;
                    include {PARAMETERS};
                    uwsgi_buffer_size 64k;
                    uwsgi_buffers 8 64k;
                    location / {{
                        uwsgi_pass {site};
                    }}
                    location /unbuffered/ {{
                        uwsgi_pass {site};
                        uwsgi_buffering off;
                        uwsgi_request_buffering off;
                    }}
                    location {MOUNTED} {{
                        include {PARAMETERS};
                        uwsgi_param SCRIPT_NAME {MOUNTED};
                        uwsgi_modifier1 30;
                        uwsgi_pass {site};
                    }}
                    location /rewritten/ {{
                        rewrite ^/rewritten/(.*)$ /$1 break;
                        uwsgi_pass {site};
                    }}
                }}
            }}
        """)
        command = [program, "-p", place, "-c", configuration, "-e", "stderr"]
        with running(command, Path(place), "start worker process "):
            yield f"http://127.0.0.1:{port}"


@contextmanager
def nginx_before(project: Path, **environment: str) -> Iterator[str]:
    """nginx, and Penstock behind it with a Django project; yields the base URL."""
    site = f"127.0.0.1:{free_port()}"
    with penstock_server.start(project, "--bind", f"uwsgi:{site}", **environment), nginx(site) as url:
        yield url


@contextmanager
def apache(site: str) -> Iterator[str]:
    """The same with Apache, which speaks to a host and port only here; yields the base URL."""
    program = shutil.which("apache2", path=PATH)
    if not program:
        pytest.skip("apache2 is not installed: `make system-packages` installs it")
    port = free_port()
    with TemporaryDirectory(prefix="apache-") as place:
        os.chmod(place, 0o755)
        modules = ("mpm_event", "authz_core", "proxy", "proxy_uwsgi")
        lines = [
            f"ServerRoot {place}",
            "ServerName shop.example",
            f"DefaultRuntimeDir {place}",
            f"PidFile {place}/pid",
            f"Listen 127.0.0.1:{port}",
            *(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in modules),
            *([f"User {USER}", f"Group {USER}"] if not os.geteuid() else []),
            "ErrorLog /dev/stderr",
            "LimitRequestFieldSize 32768",
            f"ProxyPass {MOUNTED} uwsgi://{site}/",
            f"ProxyPass / uwsgi://{site}/",
        ]
        configuration = Path(place, "apache.conf")
        configuration.write_text("\n".join(lines) + "\n")
        command = [program, "-f", configuration, "-DFOREGROUND"]
        with running(command, Path(place), "resuming normal operations"):
            yield f"http://127.0.0.1:{port}"

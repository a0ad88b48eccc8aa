"""A script as mod_wsgi has them, which is no module: it answers under Penstock as under Apache."""

import subprocess

import apache_server
from foreign_server import SCRIPTS, free_port, running
from two_projects import ask, two_projects

SCRIPT = """\
import os
import sys

sys.path.insert(0, {site!r})
os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"

from shop.wsgi import application as shop


def application(environ, start_response):
    return shop({{**environ, "PATH_INFO": environ["PATH_INFO"].upper()}}, start_response)
"""


def test_a_script_answers_under_penstock_as_under_apache():
    with two_projects() as place:
        script = place / "shop-live.wsgi"
        script.write_text(SCRIPT.format(site=str(place / "shop")))
        port = free_port()
        site = place / "site.conf"
        site.write_text(
            f"<VirtualHost 127.0.0.1:{port}>\nServerName shop.example\n"
            f"WSGIDaemonProcess shop home={place}/shop processes=1\nWSGIProcessGroup shop\n"
            f"WSGIScriptAlias / {script}\n<Directory {place}>\nRequire all granted\n</Directory>\n</VirtualHost>\n"
        )
        with apache_server.start_site(site, port):
            before = ask(port, "shop.example", "/cart")
        assert before[:4] == [f"{place}/shop", "shop.settings", "", "/CART"]
        command = [SCRIPTS / "penstock", "import", site, "--output", place / "penstock.toml"]
        subprocess.run(command, check=True, timeout=60, capture_output=True)
        command = [SCRIPTS / "penstock", "serve", f"--bind=127.0.0.1:{port}"]
        with running(command, place, r"worker \d+ \(pid \d+\) is ready"):
            assert ask(port, "shop.example", "/cart") == before

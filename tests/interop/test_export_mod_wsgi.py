"""What mod_wsgi is told beside the application itself: mounts, and whose forwarded fields are believed."""

import http.client

import apache_server
import pytest
from exported import export
from foreign_server import free_port
from two_projects import ask, two_projects


@pytest.fixture(scope="module")
def port():
    """A site with another application below /news, which believes a proxy on this machine."""
    with two_projects() as directory:
        site, listen = directory / "shop", free_port()
        site.joinpath("files").mkdir()
        site.joinpath("files/.env").write_text("KEY=hushed\n")
        arguments = [
            "--static=/files=files",
            f"--python-path={directory}/blog",
            "--mounts=/news=blog.wsgi",
            "--mounts=/news/old=blog.wsgi:application",
        ]
        arguments += [
            "--forwarded-allow=127.0.0.1",
            "--queue-timeout=60s",
            f"--listen=127.0.0.1:{listen}",
            "--workers=1",
        ]
        export(site, "mod_wsgi", "shop.wsgi", *arguments, to=site)
        with apache_server.start_site(site / "shop.conf", listen):
            yield listen


@pytest.mark.parametrize(
    ("path", "script_name", "path_info"),
    [
        ("/cart", "", "/cart"),
        ("/news/today", "/news", "/today"),
        ("/news/old/x", "/news/old", "/x"),
        ("/newsroom", "", "/newsroom"),
    ],
)
def test_a_mount_is_found_by_the_longest_path(port, path, script_name, path_info):
    assert ask(port, "any.example", path)[2:4] == [script_name, path_info]


def test_the_fields_of_a_trusted_proxy_are_believed(port):
    assert ask(port, "any.example", headers={"X-Forwarded-For": "192.0.2.7"})[4] == "192.0.2.7"


@pytest.mark.parametrize("path", ["/files/.env", "//files//.env", "/%2ffiles/.env", "/files%2f%2eenv"])
def test_no_dotfile_is_shown_however_its_slashes_are_written(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    assert connection.getresponse().status == 403
    connection.close()

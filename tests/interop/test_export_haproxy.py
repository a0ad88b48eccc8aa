"""HAProxy with the PROXY protocol: the bytes of a client reach Penstock as they are, and its address with them."""

import socket
from contextlib import ExitStack

import haproxy_server
import pytest
from exported import export
from foreign_server import PATIENCE, SCRIPTS, free_port, running
from two_projects import ask, two_projects


@pytest.fixture(scope="module")
def port():
    """A site behind HAProxy, which passes everything through."""
    with two_projects() as directory, ExitStack() as servers:
        listen, bind = free_port(), f"unix:{directory}/web.sock"
        arguments = ["shop.wsgi", f"--bind={bind}", "--proxy-protocol", "--workers=1"]
        export(directory / "shop", "haproxy", *arguments, f"--listen=127.0.0.1:{listen}", to=directory)
        command = [SCRIPTS / "penstock", "serve", *arguments]
        servers.enter_context(running(command, directory / "shop", r"worker \d+ \(pid \d+\) is ready"))
        servers.enter_context(haproxy_server.start(directory / "haproxy.cfg"))
        yield listen


def test_the_clients_address_is_known(port):
    assert ask(port, "any.example", "/x")[4] == "127.0.0.1"


def test_a_whole_url_with_another_host_reaches_penstock(port):
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.sendall(b"GET http://one.example/x HTTP/1.1\r\nHost: two.example\r\nConnection: close\r\n\r\n")
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b" /x " in answer

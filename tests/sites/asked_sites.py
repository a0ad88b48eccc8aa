"""What tests of several sites ask: a page of a host, the parent, and whether sites are up."""

import http.client
import json
import threading

from running_penstock import PATIENCE, RunningPenstock

APPLICATION = """
import os

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    words = WHICH, environ["SCRIPT_NAME"], environ["PATH_INFO"], os.environ.get("WHO", "")
    return [" ".join(words).encode()]
"""

# Two that serve, and one that is started when somebody asks for it.
THREE_SITES = """
[sites.shop]
app = "shop:app"
hosts = ["shop.example"]
workers = 1
[sites.blog]
app = "blog:app"
hosts = ["blog.example"]
workers = 1
[sites.rare]
app = "rare:app"
hosts = ["rare.example"]
workers = 1
on_demand = true
"""


def ask(
    port: int, host: str, path: str = "/", connection: http.client.HTTPConnection | None = None
) -> tuple[int, str]:
    """The status and the body of one request; on a connection of its own if none is given."""
    used = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        used.request("GET", path, headers={"Host": host})
        response = used.getresponse()
        return response.status, response.read().decode()
    finally:
        if connection is None:
            used.close()


def wait_until_up(server: RunningPenstock, *names: str) -> None:
    """Reads the log until all these sites are up, in whatever order."""
    missing = set(names)
    while missing:
        missing.discard(server.wait_for(r"the site (\S+) is up")[1])


def snapshot(server: RunningPenstock) -> dict:
    """What `penstock status --json` prints."""
    output, error, status = server.command("status", "--json")
    assert status == 0, error
    return json.loads(output)


def site_of(server: RunningPenstock, name: str) -> dict:
    """What it prints of one site."""
    return next(site for site in snapshot(server)["sites"] if site["name"] == name)


class Visitor(threading.Thread):
    """Asks one site again and again, each time on a connection of its own, until it is told to stop."""

    def __init__(self, port, host):
        super().__init__()
        self.port, self.host = port, host
        self.answers = []
        self.is_over = threading.Event()
        self.start()

    def run(self):
        while not self.is_over.is_set():
            try:
                self.answers.append(ask(self.port, self.host)[0])
            except OSError as error:
                self.answers.append(repr(error))

    def finish(self):
        self.is_over.set()
        self.join()
        return set(self.answers)

"""Somebody who asks a server over HTTP and tells, in a few words, what came back. Knows no server by name."""

import http.client
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import urlencode

from behaviour_projects import Project

# Seconds until a visitor has waited long enough for a piece of an answer. More than a page takes on a busy machine.
PATIENCE = 20
HOST = "site.example"
names = count(1)


@dataclass
class Answer:
    """A response that was read to its end."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes
    text: str = field(init=False)

    def __post_init__(self) -> None:
        self.text = self.body.decode("utf-8", "replace")

    def __getitem__(self, name: str) -> str:
        """The values of a field, or nothing."""
        return ", ".join(self.all(name))

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def cookies(self) -> dict[str, str]:
        return dict(value.split(";")[0].split("=", 1) for value in self.all("Set-Cookie"))


class Visitor:
    """Asks one server, which serves `project`; each request has a connection of its own."""

    def __init__(self, address: tuple[str, int], project: Project) -> None:
        self.address, self.project = address, project

    def new_name(self) -> str:
        """A name that no other request has."""
        return f"visit{next(names)}"

    def connect(self, source: str = "") -> http.client.HTTPConnection:
        """A connection, from another address of this machine when `source` says so."""
        return http.client.HTTPConnection(
            *self.address, timeout=PATIENCE, source_address=(source, 0) if source else None
        )

    def ask(
        self,
        target: str | bytes,
        *fields: str,
        method: str = "GET",
        body: bytes | list[bytes] | None = None,
        host: str = HOST,
        source: str = "",
    ) -> Answer:
        """One request; `fields` are lines such as "X-Name: value". A body of several pieces is sent in chunks."""
        connection = self.connect(source)
        try:
            return exchange(connection, target, fields, method=method, body=body, host=host)
        finally:
            connection.close()

    def post(self, target: str, fields: dict[str, str], *lines: str, host: str = HOST) -> Answer:
        """A form."""
        content = "Content-Type: application/x-www-form-urlencoded"
        return self.ask(target, content, *lines, method="POST", body=urlencode(fields).encode(), host=host)

    def raw(self, request: bytes) -> Answer:
        """One request, as it stands."""
        with socket.create_connection(self.address, PATIENCE) as connection:
            connection.sendall(request)
            return read(connection, "GET")

    def log_in(self, name: str, password: str) -> Answer:
        """The answer of the admin's form."""
        target = f"{self.project.admin}login/"
        token = self.ask(target).cookies()["csrftoken"]
        form = {"username": name, "password": password, "csrfmiddlewaretoken": token, "next": self.project.admin}
        return self.post(target, form, f"Cookie: csrftoken={token}")


def exchange(
    connection: http.client.HTTPConnection,
    target: str | bytes,
    fields: Iterable[str] = (),
    *,
    method: str = "GET",
    body: bytes | list[bytes] | None = None,
    host: str = HOST,
) -> Answer:
    """One request on a connection that may serve another."""
    lines = [b"%b %b HTTP/1.1" % (method.encode(), target if isinstance(target, bytes) else target.encode())]
    lines += [line.encode("latin-1") for line in (f"Host: {host}", *fields)]
    if isinstance(body, bytes):
        lines.append(b"Content-Length: %d" % len(body))
    elif body is not None:
        lines.append(b"Transfer-Encoding: chunked")
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*body, b""])
    if connection.sock is None:
        connection.connect()
    connection.sock.sendall(b"\r\n".join([*lines, b"", body or b""]))
    return read(connection.sock, method)


def read(connection: socket.socket, method: str) -> Answer:
    """The next response."""
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    return Answer(response.status, response.getheaders(), response.read())

"""A client that sends exactly the bytes it is given. Refuses responses that do not follow RFC 9112 to the letter."""

import re
import socket
from dataclasses import dataclass

# Seconds after which a test fails instead of waiting for ever.
PATIENCE = 20
STATUS_LINE = re.compile(r"HTTP/1\.1 ([1-5]\d\d) ([\t -~\x80-\xff]*)")
FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\t -~\x80-\xff]*)")


@dataclass
class Response:
    """One response; `fields` in the order sent."""

    status: int
    reason: str
    fields: list[tuple[str, str]]
    body: bytes = b""

    def all(self, name: str) -> list[str]:
        """The values of the fields of this name."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def __getitem__(self, name: str) -> str:
        (value,) = self.all(name)
        return value

    def __contains__(self, name: str) -> bool:
        return bool(self.all(name))


class Client:
    """One connection."""

    def __init__(self, address: str | tuple, ttl: int | None = None) -> None:
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
        else:
            self.socket = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if ttl:
            self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(address)
        self.received = b""

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_request(self, target: str, *fields: str, method: str = "GET", body: bytes = b"") -> None:
        """A well-formed request; with a Content-Length when there is a body."""
        length = [f"Content-Length: {len(body)}"] if body else []
        lines = [f"{method} {target} HTTP/1.1", "Host: example.test", *fields, *length]
        self.send("".join(line + "\r\n" for line in lines).encode("latin-1") + b"\r\n" + body)

    def ask(self, target: str, *fields: str, method: str = "GET", body: bytes = b"") -> Response:
        self.send_request(target, *fields, method=method, body=body)
        return self.response(to=method)

    def finish_sending(self) -> None:
        """Half-closes: the server reads an end, and may still answer."""
        self.socket.shutdown(socket.SHUT_WR)

    def abort(self) -> None:
        """Leaves with a reset, as a program that is killed does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def receive(self) -> bytes:
        """Some more bytes; b"" at the end."""
        data = self.socket.recv(1 << 16)
        self.received += data
        return data

    def take(self, count: int) -> bytes:
        while len(self.received) < count:
            assert self.receive(), f"the connection ended after {self.received!r}"
        taken, self.received = self.received[:count], self.received[count:]
        return taken

    def take_until(self, end: bytes) -> bytes:
        while end not in self.received:
            assert self.receive(), f"the connection ended after {self.received!r}"
        return self.take(self.received.index(end) + len(end))

    def rest(self) -> bytes:
        """All that comes before the server closes."""
        parts = [self.received]
        while part := self.socket.recv(1 << 16):
            parts.append(part)
        self.received = b""
        return b"".join(parts)

    def head(self) -> Response:
        """A response without its body."""
        first, *lines = self.take_until(b"\r\n\r\n").decode("latin-1").split("\r\n")[:-2]
        status_line = STATUS_LINE.fullmatch(first)
        assert status_line, first
        fields = [FIELD.fullmatch(line) for line in lines]
        assert all(fields), lines
        return Response(int(status_line[1]), status_line[2], [(field[1], field[2]) for field in fields])

    def chunk(self) -> bytes:
        """The next chunk of a body; b"" for the last."""
        size = int(self.take_until(b"\r\n")[:-2], 16)
        data = self.take(size + 2)
        assert data.endswith(b"\r\n")
        return data[:-2]

    def response(self, to: str = "GET") -> Response:
        """The next response to a request of that method; also an interim one."""
        response = self.head()
        framing = [key for key, _ in response.fields if key.lower() in ("content-length", "transfer-encoding")]
        assert len(framing) <= 1
        if to == "HEAD" or response.status in (204, 304) or response.status < 200:
            return response
        if "Content-Length" in response:
            response.body = self.take_many(int(response["Content-Length"]))
        elif "Transfer-Encoding" in response:
            assert response["Transfer-Encoding"] == "chunked"
            while chunk := self.chunk():
                response.body += chunk
        else:
            response.body = self.rest()
        return response

    def take_many(self, count: int) -> bytes:
        """take() for a body of megabytes."""
        parts, self.received = [self.received[:count]], self.received[count:]
        missing = count - len(parts[0])
        while missing:
            part = self.socket.recv(min(missing, 1 << 20))
            assert part, f"the connection ended {missing} bytes before the end of the body"
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

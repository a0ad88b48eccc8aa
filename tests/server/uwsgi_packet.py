"""Packets of the uwsgi protocol, as web servers send them. Knows nothing of what may be in them."""

import struct

# What nginx says of a plain GET with Debian's uwsgi_params, without the fields of the client.
USUAL = {
    "QUERY_STRING": "",
    "REQUEST_METHOD": "GET",
    "CONTENT_TYPE": "",
    "CONTENT_LENGTH": "",
    "REQUEST_URI": "/",
    "PATH_INFO": "/",
    "DOCUMENT_ROOT": "/usr/share/nginx/html",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REQUEST_SCHEME": "http",
    "REMOTE_ADDR": "203.0.113.7",
    "REMOTE_PORT": "4711",
    "SERVER_PORT": "80",
    "SERVER_NAME": "shop.example",
    "HTTP_HOST": "example.test",
}


def sized(text: str | bytes) -> bytes:
    data = text.encode("latin-1") if isinstance(text, str) else text
    return struct.pack("<H", len(data)) + data


def raw_packet(variables: bytes, modifier1: int = 0, modifier2: int = 0) -> bytes:
    return struct.pack("<BHB", modifier1, len(variables), modifier2) + variables


def packet(*pairs: tuple[str, str], modifier1: int = 0, **variables: str) -> bytes:
    """The usual variables with others in their place, then `pairs`; one that is None is left out."""
    items = [*(USUAL | variables).items(), *pairs]
    return raw_packet(b"".join(sized(name) + sized(value) for name, value in items if value is not None), modifier1)


def asking(target: str, **variables: str) -> bytes:
    """A packet for a target that needs no decoding."""
    path, _, query = target.partition("?")
    return packet(**{"REQUEST_URI": target, "PATH_INFO": path, "QUERY_STRING": query, **variables})

"""Reads the corpus beside it. Refuses a file that does not follow README.md: no expectation is lost to a typo."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ESCAPE = re.compile(rb"\\(?:([rnt0\\])|x([0-9a-fA-F]{2})|)")
ESCAPED = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}


@dataclass
class Request:
    """One request that is complete, as the application has to see it."""

    method: str
    target: str
    version: str = "1.1"
    path: str = ""
    query: str = ""
    host: str | None = "example.test"
    fields: list[tuple[str, bytes]] | None = None  # None: not checked
    framing: str = "none"
    expects_continue: bool = False
    keep_alive: bool = True
    body: bytes = b""


@dataclass
class Case:
    """One connection. `refused` is the status of the refusal that ends it; `incomplete` ends in the middle."""

    name: str
    wire: bytes = b""
    limits: dict[str, int] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    refused: int | None = None
    incomplete: bool = False


def cases() -> Iterator[Case]:
    """Every case, in the order of the numbers."""
    for path in sorted(Path(__file__).parent.glob("*.http")):
        yield read(path)


def read(path: Path) -> Case:
    """One file. ValueError names the line that is wrong."""
    case = Case(path.stem)
    end = None
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        try:
            if end is not None and line:
                raise ValueError("nothing follows end:")
            if line.startswith("> "):
                case.wire += unescape(line[2:])
            elif line and not line.startswith("#"):
                key, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if key == "end":
                    end = value
                else:
                    expect(case, key, value)
        except (ValueError, KeyError, IndexError) as error:
            raise ValueError(f"{path.name}, line {number}: {line!r}: {error}") from error
    match (end or "").split():
        case ["idle"]:
            pass
        case ["incomplete"]:
            case.incomplete = True
        case ["refused", status]:
            case.refused = int(status)
        case _:
            raise ValueError(f"{path.name} does not say how it ends")
    return case


def expect(case: Case, key: str, value: str) -> None:
    """Takes one `key: value` line. ValueError when the key or its value is not known."""
    if key == "limits":
        case.limits = {name: int(limit) for name, limit in (pair.split("=") for pair in value.split())}
        return
    if key == "request":
        method, target = value.split(" ")
        path, _, query = target.partition("?")
        case.requests.append(Request(method, target, path=path, query=query))
        return
    request = case.requests[-1]
    match key:
        case "version" | "path" | "query" | "framing":
            setattr(request, key, value)
        case "host":
            request.host = None if value == "none" else value
        case "fields":
            request.fields = []
        case "field":
            name, _, content = value.partition(":")
            request.fields = [*(request.fields or []), (name, unescape(content.removeprefix(" ")))]
        case "expects_continue" | "keep_alive":
            setattr(request, key, {"yes": True, "no": False}[value])
        case "body":
            request.body = unescape(value)
        case _:
            raise ValueError("no such key")


def unescape(text: str) -> bytes:
    """The bytes that a line stands for. ValueError when a backslash begins no known escape."""
    return ESCAPE.sub(one_byte, text.encode())


def one_byte(found: re.Match[bytes]) -> bytes:
    """The byte that one escape stands for."""
    if found[1]:
        return ESCAPED[found[1]]
    if found[2]:
        return bytes.fromhex(found[2].decode())
    raise ValueError("an unknown escape")

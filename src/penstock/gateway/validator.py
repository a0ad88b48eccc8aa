"""Runs each layer of an application under PEP 3333's eyes, and says which of them breaks the contract.

The requests are made here, over no socket. Only what can be seen from outside a layer is judged: nothing is mended.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from typing import Any, NamedTuple
from wsgiref.util import is_hop_by_hop, setup_testing_defaults

from penstock.app import Application
from penstock.gateway.middleware import name_of, wrap_once
from penstock.probe import host_of_django

SERVER = "penstock"
# The sections of PEP 3333.
CLOSE = "PEP 3333, Specification Details: the close() of an iterable is called upon completion of the request"
START = "PEP 3333, The start_response() Callable"
WRITE = "PEP 3333, The write() Callable"
LENGTH = "PEP 3333, Handling the Content-Length Header"
UNICODE = "PEP 3333, Unicode Issues"
ENVIRON = "PEP 3333, environ Variables"
SIDES = "PEP 3333, The Application/Framework Side"
MIDDLEWARE = "PEP 3333, Middleware: Components that Play Both Sides"


class Finding(NamedTuple):
    """What a layer does that it must not do."""

    layer: str
    problem: str  # goes on after the layer's name: "does not call close() …"
    reference: str
    request: str  # the first one that has shown it


class Sample(NamedTuple):
    """A correct application whose way to answer middleware tends to forget."""

    application: Application
    title: str


def check_layers(
    application: Application, middleware: Sequence[str], origin: str, paths: Sequence[str] = ("/",)
) -> list[Finding]:
    """Asks for each path, with GET and HEAD, through every layer; and has the middleware wrap correct applications.

    `middleware` and `origin` are as in `wrap`. Each problem of a layer is found once. Raises AppNotFound or AppFailed.
    """
    inspection = Inspection()
    for inner in (Sample(application, name_of(application)), *SAMPLES):
        is_sample = inner in SAMPLES
        if is_sample and not middleware:
            continue
        layers = inspection.around(inner, middleware, origin)
        for path in ("/",) if is_sample else paths:
            for method in ("GET", "HEAD"):
                inspection.ask(layers, method, path, f"{method} {path}" + (f" ({inner.title})" if is_sample else ""))
    return inspection.findings


class Inspection:
    """The findings, and the request that is under way."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.request = ""
        self.seen: set[str] = set()  # in this request
        self.borders: list[Border] = []

    def blame(self, layer: str, problem: str, reference: str) -> None:
        """Takes note of a problem, unless it is known, or only passed on by this layer: who has it first, has it."""
        if problem in self.seen:
            return
        self.seen.add(problem)
        if not any((known.layer, known.problem) == (layer, problem) for known in self.findings):
            self.findings.append(Finding(layer, problem, reference, self.request))

    def around(self, inner: Sample, middleware: Sequence[str], origin: str) -> Application:
        """The layers with a border on the outer side of each."""
        names = [SERVER, *middleware, inner.title]
        layers = Border(self, inner.application, names[-1], names[-2])
        self.borders = [layers]
        for index in range(len(middleware) - 1, -1, -1):
            wrapped = wrap_once(layers, middleware[index], f"middleware {middleware[index]} ({origin})")
            layers = Border(self, wrapped, names[index + 1], names[index])
            self.borders.append(layers)
        return layers

    def ask(self, layers: Application, method: str, path: str, request: str) -> None:
        """Makes one request as a careful server does, and looks at each border after it."""
        self.request = request
        self.seen.clear()
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path.encode().decode("latin-1"),
            "QUERY_STRING": "",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": host_of_django(),
            "wsgi.errors": sys.stderr,
            "wsgi.input": BytesIO(),
        }
        setup_testing_defaults(environ)
        try:
            result = layers(environ, lambda *_: lambda _: None)
            try:
                for _ in result:
                    pass
            finally:
                result.close()
        except Exception as error:
            self.blame(error_layer(error, self.borders), f"raises {type(error).__name__}: {error}", SIDES)
        # Who loses a close() loses it for all within: the outermost is looked at first.
        for border in reversed(self.borders):
            border.judge_end()
        for border in self.borders:
            border.judge_answer(method)


def error_layer(error: BaseException, borders: Sequence["Border"]) -> str:
    """The layer that an exception came from: the innermost that it has passed."""
    return next((border.inner for border in borders if border.failed_with is error), borders[-1].inner)


class Border:
    """Stands between two layers: judges `inner` as an application and `outer` as its server."""

    def __init__(self, inspection: Inspection, application: Application, inner: str, outer: str) -> None:
        self.inspection, self.application = inspection, application
        self.inner, self.outer = inner, outer
        self.answer: Answer | None = None
        self.failed_with: BaseException | None = None

    def __call__(self, *arguments: Any, **named: Any) -> "Answer":
        """A WSGI application."""
        if named or len(arguments) != 2:
            self.blame_outer("does not call the application with two positional arguments", SIDES)
        environ, start_response = (*arguments, *named.values())
        self.judge_environ(environ)
        self.answer = answer = Answer(self, start_response)
        try:
            answer.result = self.application(environ, answer.start_response)
        except BaseException as error:
            self.failed_with = error
            answer.is_closed = 1  # there is nothing to close
            raise
        if isinstance(answer.result, str | bytes):
            self.blame_inner(f"returns {type(answer.result).__name__} instead of an iterable of bytes", SIDES)
        return answer

    def blame_inner(self, problem: str, reference: str) -> None:
        """The application side has done something wrong."""
        self.inspection.blame(self.inner, problem, reference)

    def blame_outer(self, problem: str, reference: str) -> None:
        """The server side has."""
        self.inspection.blame(self.outer, problem, reference)

    def judge_environ(self, environ: Any) -> None:
        """A dict of str that stand for bytes, beside the objects of wsgi."""
        if type(environ) is not dict:
            self.blame_outer(f"gives a {type(environ).__name__} as environ, which must be a dict", ENVIRON)
            return
        for name in ("REQUEST_METHOD", "SERVER_NAME", "SERVER_PORT", "wsgi.version", "wsgi.input", "wsgi.errors"):
            if name not in environ:
                self.blame_outer(f"takes {name} out of the environ", ENVIRON)
        for name, value in environ.items():
            if "." in str(name):
                continue
            if type(value) is not str:
                self.blame_outer(f"puts {type(value).__name__} into environ[{name!r}], which must be a str", ENVIRON)
            elif not is_latin1(value):
                self.blame_outer(f"puts characters beyond Latin-1 into environ[{name!r}]", UNICODE)

    def judge_end(self) -> None:
        """The request is over: has the server side closed the response?"""
        if self.answer and not self.answer.is_closed:
            self.blame_outer("does not call close() on the response inside it", CLOSE)
        if self.answer and self.answer.is_closed > 1:
            self.blame_outer("calls close() on the response inside it more than once", CLOSE)

    def judge_answer(self, method: str) -> None:
        """Was it a whole response? Forgets it then."""
        answer, self.answer = self.answer, None
        failed, self.failed_with = self.failed_with, None
        if failed or not answer or not answer.is_exhausted:
            return
        if not answer.has_started:
            self.blame_inner("never calls start_response()", START)
        if method != "HEAD" and answer.length is not None and answer.sent != answer.length:
            self.blame_inner(f"announces {answer.length} bytes and sends {answer.sent}", LENGTH)


class Answer:
    """One response on its way through a border; iterated and closed by the outer layer."""

    def __init__(self, border: Border, start_response: Any) -> None:
        self.border, self.outer_start = border, start_response
        self.result: Any = ()
        self.has_started = self.is_exhausted = False
        self.is_closed = self.sent = 0
        self.length: int | None = None

    def start_response(self, *arguments: Any, **named: Any) -> Callable[[bytes], object]:
        """What the inner layer calls."""
        blame = self.border.blame_inner
        if named or not 2 <= len(arguments) <= 3:
            blame("does not call start_response() with two or three positional arguments", START)
        status, headers, exc_info = (*arguments, *named.values(), None)[:3]
        if self.has_started and exc_info is None:
            blame("calls start_response() a second time without exc_info", START)
        self.has_started = True
        self.judge_status(status)
        self.judge_headers(headers)
        # As it should have been called: the layer outside is not to stumble over what this one does.
        write = self.outer_start(status, headers, *([exc_info] if exc_info else []))
        if not callable(write):
            self.border.blame_outer(f"has a start_response() that returns {type(write).__name__}, not write()", START)

        def checked(piece: bytes) -> None:
            self.judge_piece(piece, "write()s", WRITE)
            if callable(write):
                write(piece)

        return checked

    def judge_status(self, status: Any) -> None:
        """A str such as "200 OK"."""
        blame = self.border.blame_inner
        if type(status) is not str:
            blame(f"gives {type(status).__name__} as the status, which must be a str", START)
        elif not is_latin1(status):
            blame("gives a status with characters beyond Latin-1", UNICODE)
        elif not re.fullmatch(r"[1-9][0-9]{2} [^\x00-\x1f\x7f]*", status):
            blame(f"gives the status {status!r}, which is not like '200 OK'", START)

    def judge_headers(self, headers: Any) -> None:
        """A list of tuples of two str."""
        blame = self.border.blame_inner
        if type(headers) is not list:
            blame(f"gives a {type(headers).__name__} as headers, which must be a list", START)
            return
        self.length = None
        for pair in headers:
            if type(pair) is not tuple or len(pair) != 2 or not all(type(part) is str for part in pair):
                blame(f"gives {pair!r} as a header, which must be a tuple of two str", START)
                continue
            name, value = pair
            if not is_latin1(name + value):
                blame(f"gives the header {name} with characters beyond Latin-1", UNICODE)
            elif re.search(r"[\x00-\x08\x0a-\x1f\x7f]", name + value):
                blame(f"gives the header {name!r} with control characters", START)
            if is_hop_by_hop(name) or name.lower() == "status":
                blame(f"gives the header {name}, which is the server's", START)
            if name.lower() == "content-length":
                self.length = int(value) if value.isdecimal() else -1

    def judge_piece(self, piece: Any, verb: str, reference: str) -> None:
        """Bytes, and not before start_response()."""
        if type(piece) is not bytes:
            self.border.blame_inner(f"{verb} {type(piece).__name__}, which must be bytes", reference)
            return
        self.sent += len(piece)
        if piece and not self.has_started:
            self.border.blame_inner(f"{verb} bytes before it calls start_response()", START)

    def __iter__(self) -> Iterator[bytes]:
        if self.is_closed:
            self.border.blame_outer("iterates over the response inside it after close()", CLOSE)
        try:
            for piece in self.result:
                self.judge_piece(piece, "yields", SIDES)
                yield piece
            self.is_exhausted = True
        except Exception as error:
            self.border.failed_with = self.border.failed_with or error
            raise

    def close(self) -> None:
        """What the outer layer has to call."""
        self.is_closed += 1
        if hasattr(self.result, "close"):
            self.result.close()


def is_latin1(text: str) -> bool:
    """Whether each character stands for one byte."""
    return all(character < "\u0100" for character in text)


def answer_whole(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """As most applications answer."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"whole"]


def answer_in_pieces(_environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    """Calls start_response() when it is asked for its first piece, which is empty."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b""
    yield b"a "
    yield b"stream"


def answer_by_writing(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Uses write(), which few do and PEP 3333 allows."""
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"written, ")
    return [b"and returned"]


def answer_with_an_error(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Changes its mind before anything has left."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        raise LookupError("something went wrong")
    except LookupError:
        start_response("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
    return [b"an error"]


SAMPLES = (
    Sample(answer_whole, "around a response in one piece"),
    Sample(answer_in_pieces, "around a stream"),
    Sample(answer_by_writing, "around write()"),
    Sample(answer_with_an_error, "around exc_info"),
)

"""Which layer breaks PEP 3333's contract, and how, is found; those that keep it are left in peace."""

import sys

import pytest

from penstock.gateway.validator import check_layers

LAYERS = '''
class Passes:
    def __init__(self, application):
        self.application = application
    def __call__(self, environ, start_response):
        return self.application(environ, start_response)

class Adds(Passes):
    """Changes the headers in the way that PEP 3333 shows."""
    def __call__(self, environ, start_response):
        def start(status, headers, exc_info=None):
            return start_response(status, [*headers, ("X-Added", "yes")], *[exc_info] * bool(exc_info))
        return self.application(environ, start)

class Closes(Passes):
    def __call__(self, environ, start_response):
        result = self.application(environ, start_response)
        try:
            for piece in result:
                yield piece.upper()
        finally:
            if hasattr(result, "close"):
                result.close()

class Loses(Passes):
    def __call__(self, environ, start_response):
        return [b"".join(super().__call__(environ, start_response))]

class ClosesTwice(Passes):
    def __call__(self, environ, start_response):
        result = super().__call__(environ, start_response)
        body = list(result)
        result.close()
        result.close()
        return body

class ForgetsWrite(Passes):
    def __call__(self, environ, start_response):
        def start(status, headers, exc_info=None):
            start_response(status, headers, exc_info)
        return super().__call__(environ, start)

class Names(Passes):
    def __call__(self, environ, start_response):
        return super().__call__(environ, lambda status, headers, exc_info=None: start_response(
            status=status, headers=headers, exc_info=exc_info))

class Twice(Passes):
    def __call__(self, environ, start_response):
        start_response("200 OK", [])
        return super().__call__(environ, start_response)

class Text(Passes):
    def __call__(self, environ, start_response):
        result = super().__call__(environ, start_response)
        pieces = [piece.decode() for piece in result]
        result.close()
        return pieces

class Wide(Passes):
    def __call__(self, environ, start_response):
        return super().__call__(environ, lambda status, headers, *rest: start_response(
            status, [*headers, ("X-Name", "Ł")], *rest))

class WideEnviron(Passes):
    def __call__(self, environ, start_response):
        return super().__call__({**environ, "REMOTE_USER": "Łukasz", "PORT": 80}, start_response)

class Lengthens(Passes):
    def __call__(self, environ, start_response):
        result = super().__call__(environ, start_response)
        yield from result
        result.close()
        yield b" and more"

class Indexes(Passes):
    def __call__(self, environ, start_response):
        return super().__call__(environ, start_response)[0]

class Hops(Passes):
    def __call__(self, environ, start_response):
        return super().__call__(environ, lambda status, headers, *rest: start_response(
            status, [*headers, ("Connection", "close")], *rest))
'''


@pytest.fixture
def findings(own_process, tmp_path):
    """What is found in the middlewares around an application: (layer, problem) pairs."""
    sys.path.insert(0, str(tmp_path))
    (tmp_path / "contract.py").write_text(LAYERS)

    def find(*names, application=plain):
        found = check_layers(application, [f"contract:{name}" for name in names], "--middleware")
        assert all(finding.reference.startswith("PEP 3333, ") for finding in found)
        return [(finding.layer.removeprefix("contract:"), finding.problem) for finding in found]

    return find


def plain(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"plain"]


@pytest.mark.parametrize("names", [[], ["Passes"], ["Adds", "Closes"], ["Closes", "Passes", "Adds"]])
def test_layers_that_keep_the_contract_are_left_in_peace(findings, names):
    assert findings(*names) == []


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("Loses", "does not call close() on the response inside it"),
        ("ClosesTwice", "calls close() on the response inside it more than once"),
        ("ForgetsWrite", "has a start_response() that returns NoneType, not write()"),
        ("Names", "does not call start_response() with two or three positional arguments"),
        ("Twice", "calls start_response() a second time without exc_info"),
        ("Text", "yields str, which must be bytes"),
        ("Wide", "gives the header X-Name with characters beyond Latin-1"),
        ("WideEnviron", "puts characters beyond Latin-1 into environ['REMOTE_USER']"),
        ("WideEnviron", "puts int into environ['PORT'], which must be a str"),
        ("Lengthens", "announces 5 bytes and sends 14"),
        ("Indexes", "raises TypeError: 'Answer' object is not subscriptable"),
        ("Hops", "gives the header Connection, which is the server's"),
    ],
)
@pytest.mark.parametrize("around", [[], ["Passes"], ["Closes", "Adds"]])
def test_the_layer_that_breaks_the_contract_is_named(findings, name, problem, around):
    found = findings(*around, name, "Passes")
    assert (name, problem) in found
    assert {layer for layer, _ in found} == {name}


def application_that(answer):
    """An application of which only the way to answer matters."""

    def odd(environ, start_response):
        return answer(start_response)

    return odd


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (lambda _: [b"x"], "yields bytes before it calls start_response()"),
        (lambda _: [], "never calls start_response()"),
        (lambda start: start("200", []) and [], "gives the status '200', which is not like '200 OK'"),
        (lambda start: start("200 Łódź", []) and [], "gives a status with characters beyond Latin-1"),
        (lambda start: start(b"200 OK", []) and [], "gives bytes as the status, which must be a str"),
        (lambda start: start("200 OK", {}) and [], "gives a dict as headers, which must be a list"),
        (lambda start: start("200 OK", [["A", "b"]]) and [], "gives ['A', 'b'] as a header, which must be a tuple"),
        (lambda start: start("200 OK", [("A", "b\nC: d")]) and [], "gives the header 'A' with control characters"),
        (lambda start: start("200 OK", []) and b"bytes", "returns bytes instead of an iterable of bytes"),
        (lambda start: start("200 OK", [])("text") or [], "write()s str, which must be bytes"),
        (lambda _: 1 / 0, "raises ZeroDivisionError: division by zero"),
    ],
)
def test_an_application_that_breaks_the_contract_is_named(findings, answer, problem):
    layer, found = findings("Passes", "Closes", application=application_that(answer))[0]
    assert layer == f"{__name__}.application_that.<locals>.odd"
    assert found.startswith(problem)


def test_the_first_request_that_has_shown_a_problem_is_told(own_process, tmp_path):
    sys.path.insert(0, str(tmp_path))
    (tmp_path / "contract.py").write_text(LAYERS)
    [finding] = check_layers(plain, ["contract:ForgetsWrite"], "--middleware", ["/a", "/b"])
    assert finding.request == "GET /a"
    [finding] = check_layers(plain, ["contract:Lengthens"], "--middleware", ["/a", "/b"])
    assert finding.request == "GET / (around a response in one piece)"

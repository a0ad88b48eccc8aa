"""Names a file in place of a body, with X-Accel-Redirect or X-Sendfile: `/accel?LOCATION`, `/sendfile?PATH`."""

from urllib.parse import unquote

from tester import tell


class Body:
    """What must not be sent. Tells when it is closed."""

    def __iter__(self):
        yield b"not this"

    def close(self):
        tell("closed")


def accel(environ, start_response):
    start_response("200 OK", [("X-Accel-Redirect", unquote(environ["QUERY_STRING"])), ("X-Other", "kept")])
    return Body()


def sendfile(environ, start_response):
    start_response("200 OK", [("X-Sendfile", unquote(environ["QUERY_STRING"])), ("Content-Type", "text/x-own")])
    return Body()


def plain(environ, start_response):
    start_response("200 OK", [])
    return [environ["PATH_INFO"].encode()]

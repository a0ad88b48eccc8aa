"""Applications to put beside each other, and one in front of Django: a framework's, a plain one's, an ASGI one."""

from wsgiref.simple_server import demo_app as demo  # noqa: F401 (mounted by this name)

from django_observer import application as django
from flask import Flask, request, url_for

shop = Flask(__name__)


@shop.get("/")
def index():
    return {"root": request.script_root, "path": request.path, "link": url_for("item", name="a b")}


@shop.get("/items/<name>")
def item(name):
    return {"name": name}


async def news(scope, receive, send):
    """Streams, so that the adapter has to."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for piece in (scope["root_path"], " ", scope["path"]):
        await send({"type": "http.response.body", "body": piece.encode(), "more_body": True})
    await send({"type": "http.response.body"})


def front(environ, start_response):
    """Answers one path itself and leaves all else to Django: how a WSGI application goes in front of a project."""
    if environ["PATH_INFO"] == "/ping":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"pong"]
    return django(environ, start_response)

"""Gives guarded files away: `/static/NAME?please` to those who ask so, `?late` when it has answered already.

`closed` lets nobody see /static/private, before an application that takes every way of writing that path for it.
"""

import os.path

from penstock.config import load
from penstock.gateway.auth import guard

RULE = '{"path": "/static/private", "provider": "none", "deny": ["0.0.0.0/0", "::/0"]}'


def application(environ, start_response):
    serve_file, words = environ.get("penstock.serve_file"), environ["QUERY_STRING"]
    if words == "please" and serve_file():
        return []
    start_response("200 OK", [("Content-Type", "text/plain")])
    if words == "late":
        serve_file()
    return [b"the application, with a file to give" if serve_file else b"the application"]


def generous(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    # normpath keeps two slashes at the beginning.
    path = "/" + os.path.normpath("/" + environ["PATH_INFO"]).lstrip("/")
    return [b"for those who say please" if f"{path}/".startswith("/static/private/") else b"nothing"]


closed = guard(generous, load({"auth": [RULE]}, {}, "/"))

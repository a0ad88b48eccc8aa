"""Answers with what it was asked: JSON of the environ and the body. Bytes are shown as latin-1 text."""

import json

seen = []


def shown(value):
    return value if isinstance(value, str | int | float | bool | list) else repr(value)


def application(environ, start_response):
    body = environ["wsgi.input"].read()
    types = {key: type(value).__name__ for key, value in environ.items()}
    request = {
        "type": type(environ).__name__,
        "types": types,
        "key_types": sorted({type(key).__name__ for key in environ}),
        "environ": {key: shown(value) for key, value in environ.items()},
        "body": body.decode("latin-1"),
    }
    environ.clear()
    seen.append(request)
    if request["environ"]["PATH_INFO"] == "/--":
        answer, seen[:] = json.dumps(seen[:-1]), []
    else:
        answer = json.dumps(request)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [answer.encode()]

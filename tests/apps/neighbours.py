"""Sites beside each other behind a front: each says who it is, and what it was asked. "/hold" waits for the test."""

import json

from tester import hold

SHOWN = ("SCRIPT_NAME", "PATH_INFO", "REQUEST_URI", "HTTP_HOST", "REMOTE_ADDR", "SERVER_PORT")


def site(name):
    def application(environ, start_response):
        body = environ["wsgi.input"].read().decode("latin-1")
        if environ["PATH_INFO"] == "/hold":
            hold(name)
        answer = {"site": name, "body": body} | {key: environ.get(key) for key in SHOWN}
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]

    return application


shop, blog = site("shop"), site("blog")

"""Applications inside the standard library's judge of servers and applications, wsgiref.validate."""

from wsgiref.validate import validator

import django_observer
import flask_guestbook
import inputs

plain = validator(inputs.length)


def at_root(prefix, application):
    """The application under a prefix, as PEP 3333 has it."""

    def mounted(environ, start_response):
        environ["SCRIPT_NAME"] += prefix
        environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix(prefix)
        return application(environ, start_response)

    return mounted


django = at_root("/django", validator(django_observer.application))
flask = at_root("/flask", validator(flask_guestbook.app))
# Flask reads urlencoded forms with read() and no size, which PEP 3333 allows and the judge does not.
unjudged = at_root("/unjudged", flask_guestbook.app)

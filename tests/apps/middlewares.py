"""WSGI middleware, good and bad, to put around a site: each class says what it does with close()."""


class Passes:
    """Gives back what it was given."""

    def __init__(self, application):
        self.application = application

    def __call__(self, environ, start_response):
        return self.application(environ, start_response)


class Joins(Passes):
    """Returns a list of its own, and forgets what it was made from."""

    def __call__(self, environ, start_response):
        return [b"".join(super().__call__(environ, start_response))]


class Streams(Passes):
    """A generator that does not close what it reads from."""

    def __call__(self, environ, start_response):
        yield from list(super().__call__(environ, start_response))


class Closes(Passes):
    """A generator that closes what it reads from."""

    def __call__(self, environ, start_response):
        result = super().__call__(environ, start_response)
        try:
            yield from list(result)
        finally:
            result.close()


class Raises(Passes):
    """Fails after the application has answered."""

    def __call__(self, environ, start_response):
        super().__call__(environ, start_response)
        raise RuntimeError("this middleware raises on purpose")


class Endless(Passes):
    """Never ends by itself, and never closes."""

    def __call__(self, environ, start_response):
        super().__call__(environ, start_response)
        while True:
            yield b"x" * 65536

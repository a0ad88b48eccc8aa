"""`penstock check --layers`: which middleware breaks WSGI's contract."""

from careful_project import write

FORGETS = """
class Forgets:
    def __init__(self, application):
        self.application = application
    def __call__(self, environ, start_response):
        for piece in self.application(environ, start_response):
            yield piece

class Passes:
    def __init__(self, application):
        self.application = application
    def __call__(self, environ, start_response):
        return self.application(environ, start_response)
"""


def layers(spoilt, *arguments):
    """The findings, by id."""
    write(spoilt.directory, {"shop/layers.py": FORGETS})
    return {id[-4:]: one for id, one in spoilt.check("--layers", *arguments).items() if one["theme"] == "Application"}


def test_the_layer_that_loses_close_is_named(spoilt):
    found = layers(spoilt, "--middleware", "shop.layers:Passes", "--middleware", "shop.layers:Forgets")
    assert found["E009"]["message"].startswith("shop.layers:Forgets does not call close()")


def test_layers_that_keep_the_contract_are_no_finding(spoilt):
    assert layers(spoilt, "--middleware", "shop.layers:Passes") == {}


def test_a_middleware_that_there_is_not_is_an_error(spoilt):
    assert set(spoilt.check("--middleware", "shop.layers:Lost")) >= {"penstock.E010"}

"""What the configuration puts around an application, and what is said when that cannot be."""

import sys
import threading
from wsgiref.util import setup_testing_defaults

import pytest

from penstock.errors import AppFailed, AppNotFound, ConfigurationError
from penstock.gateway.compose import compose

LAYERS = """
class Mark:
    word = "mark"
    def __init__(self, application):
        self.application = application
    def __call__(self, environ, start_response):
        environ.setdefault("seen", []).append(self.word)
        return self.application(environ, start_response)

class First(Mark):
    word = "first"

def second(application):
    def wrapped(environ, start_response):
        environ.setdefault("seen", []).append("second")
        return application(environ, start_response)
    return wrapped

class Spaces:
    Nested = First

class Raises:
    def __init__(self, application):
        raise RuntimeError("no licence")

class Greedy:
    def __init__(self, application, colour):
        pass

def forgets(application):
    pass

def leaves(application):
    raise SystemExit("not today")

number = 7

def make_blog():
    return where("blog")

def where(name):
    def application(environ, start_response):
        start_response("200 OK", [])
        return [f"{name} {environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode()]
    return application

blog, shop, application = where("blog"), where("shop"), where("main")

async def asgi(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"asgi {scope['root_path']} {scope['path']}".encode()})

class Asgi:
    async def __call__(self, scope, receive, send):
        await asgi(scope, receive, send)

an_asgi_object = Asgi()
"""


@pytest.fixture
def composed(own_process, tmp_path, configure):
    """Composes around an application that answers with where it thinks it is; settings as on the command line."""
    sys.path.insert(0, str(tmp_path))
    (tmp_path / "layers.py").write_text(LAYERS)

    def main(environ, start_response):
        start_response("200 OK", [])
        return [f"main {environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode()]

    return lambda **settings: compose(main, configure(**settings))


def ask(application, path, script_name=""):
    """The body of the answer, and the environ after the call. `path` in UTF-8, as a client would mean it."""
    environ = {"PATH_INFO": path.encode().decode("latin-1"), "SCRIPT_NAME": script_name}
    setup_testing_defaults(environ)
    result = application(environ, lambda *_, **__: None)
    return b"".join(result).decode(), environ


def test_without_layers_the_application_is_left_as_it_is(configure):
    assert compose(ask, configure()) is ask


def test_the_first_middleware_is_the_outermost(composed):
    _, environ = ask(composed(middleware=["layers:First", "layers:second", "layers:Mark"]), "/")
    assert environ["seen"] == ["first", "second", "mark"]


def test_a_middleware_may_be_an_attribute_of_an_attribute(composed):
    assert ask(composed(middleware="layers:Spaces.Nested"), "/")[1]["seen"] == ["first"]


@pytest.mark.parametrize(
    ("target", "kind", "message", "hint"),
    [
        ("nowhere:Thing", AppNotFound, "there is no module 'nowhere'", "--python-path"),
        ("layers:Frist", AppNotFound, "layers has no attribute 'Frist'", "did you mean 'First'?"),
        ("layers:number", AppNotFound, "is not callable: it is a int", ""),
        ("layers:Raises", AppFailed, "cannot be made: RuntimeError: no licence", "called with the application alone"),
        ("layers:Greedy", AppFailed, "missing 1 required positional argument: 'colour'", "application alone"),
        ("layers:forgets", AppFailed, "has made a NoneType, which is no application", "returns one"),
        ("layers:leaves", AppFailed, "it called sys.exit('not today')", "application alone"),
    ],
)
def test_a_middleware_that_cannot_be_is_named_with_who_asked_for_it(composed, target, kind, message, hint):
    with pytest.raises(kind) as caught:
        composed(middleware=[target])
    assert f"middleware {target} (--middleware)" in caught.value.message
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_middleware_that_raises_comes_with_its_own_traceback(composed):
    with pytest.raises(AppFailed) as caught:
        composed(middleware=["layers:Raises"])
    assert 'raise RuntimeError("no licence")' in caught.value.detail
    assert "penstock" not in caught.value.detail


@pytest.mark.parametrize("target", ["layers", "layers:", ":First", "layers:First()", "layers First", "layers:1st"])
def test_a_middleware_is_a_module_and_an_attribute(configure, target):
    with pytest.raises(ConfigurationError, match="expected module:attribute"):
        configure(middleware=[target])


MOUNTS = ["/blog=layers:blog", "/blog/shop/=layers:shop", "/Ünter wegs=layers:make_blog()", "/else=layers"]


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/", "main |/"),
        ("/blogs", "main |/blogs"),
        ("/blog", "blog /blog|"),
        ("/blog/", "blog /blog|/"),
        ("/blog/post/", "blog /blog|/post/"),
        ("/blog//post", "blog /blog|//post"),
        ("/blog/shop", "shop /blog/shop|"),
        ("/blog/shops", "blog /blog|/shops"),
        ("/blog/shop/a/b", "shop /blog/shop|/a/b"),
        ("//blog", "main |//blog"),
        ("/Blog", "main |/Blog"),
        ("/else/where", "main /else|/where"),
        ("*", "main |*"),
    ],
)
def test_the_longest_mount_whose_url_it_is_gets_the_request(composed, path, answer):
    assert ask(composed(mounts=MOUNTS), path)[0] == answer


def test_a_mount_with_other_letters_is_found_as_the_bytes_of_its_utf_8(composed):
    body, environ = ask(composed(mounts=MOUNTS), "/Ünter wegs/näher")
    assert body.encode("latin-1").decode() == "blog /Ünter wegs|/näher"
    assert environ["SCRIPT_NAME"].encode("latin-1") == "/Ünter wegs".encode()


def test_a_mount_adds_to_the_script_name_that_is_there(composed):
    assert ask(composed(mounts=MOUNTS), "/blog/x", "/site")[0] == "blog /site/blog|/x"


def test_the_middleware_is_around_the_application_and_not_around_mounts(composed):
    both = composed(mounts=MOUNTS, middleware=["layers:First"])
    assert "seen" not in ask(both, "/blog")[1]
    assert ask(both, "/")[1]["seen"] == ["first"]


@pytest.mark.parametrize("target", ["layers:asgi", "layers:an_asgi_object"])
def test_mounting_an_asgi_application_starts_no_thread(composed, target):
    before = threading.active_count()
    assert ask(composed(mounts=[f"/live={target}"]), "/")[0] == "main |/"
    assert threading.active_count() == before


def test_without_a2wsgi_the_mount_is_named_and_the_way_out(composed, monkeypatch):
    monkeypatch.setitem(sys.modules, "a2wsgi", None)
    with pytest.raises(ConfigurationError, match=r"the mount /live = layers:asgi \(--mounts\) is an ASGI") as caught:
        composed(mounts=["/live=layers:asgi"])
    assert "pip install 'penstock[asgi]'" in caught.value.hint


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere:app", "there is no module 'nowhere'"),
        ("layers:bog", "layers has no attribute 'bog'"),
        ("layers:number", "is not callable: it is a int"),
        ("layers:leaves()", "leaves() failed"),
    ],
)
def test_a_mount_that_cannot_be_loaded_is_named_with_who_asked_for_it(composed, target, message):
    with pytest.raises((AppNotFound, AppFailed)) as caught:
        composed(mounts=[f"/blog={target}"])
    assert f"the mount /blog = {target} (--mounts)" in caught.value.message
    assert message in caught.value.message


@pytest.mark.parametrize("pair", ["/=layers", "blog=layers", "/blog=", "/blog", "/blog=a b", "/blog=./blog.py"])
def test_a_mount_is_a_url_and_an_application(configure, pair):
    with pytest.raises(ConfigurationError, match="mounts cannot be"):
        configure(mounts=[pair])


def test_two_mounts_below_the_same_url_are_refused(configure):
    with pytest.raises(ConfigurationError, match="/blog is there twice"):
        configure(mounts=["/blog=layers:blog", "/blog/=layers:shop"])

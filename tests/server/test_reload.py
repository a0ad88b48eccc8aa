"""What a reload tries before it takes over, with real processes: probes, code that hangs, releases behind a link."""

import json
import shutil
import textwrap

import pytest
from hello_site import hello
from shop_project import MANAGE, SETTINGS, URLS

ANSWERS = """
    def application(environ, start_response):
        start_response({status!r}, [])
        if environ["HTTP_USER_AGENT"] == "penstock-probe":
            print("probed", environ["PATH_INFO"], environ["QUERY_STRING"], environ["HTTP_HOST"], flush=True,
                  file=environ["wsgi.errors"])
        return [b"answer"]
"""


def answers(status):
    return textwrap.dedent(ANSWERS).format(status=status)


def test_a_worker_answers_the_probe_before_it_takes_requests(serve):
    server = serve("--probe", "/health?deep=1", "--probe-host", "shop.example", source=answers("404 Not Found"))
    assert server.log.index("probed /health deep=1 shop.example") < server.log.index("is ready")


def test_code_that_loads_and_cannot_answer_does_not_take_over(serve, tmp_path):
    server = serve("--probe", "/")
    tmp_path.joinpath("hello.py").write_text(answers("500 Oh No"))
    out, err, code = server.command("reload")
    assert (out, code) == ("", 1)
    assert err.startswith("error: the probe of / was answered with 500 Oh No\n")
    assert server.get() == f"one from {server.pids[0]}"


def test_code_that_raises_at_the_probe_does_not_take_over_and_shows_where(serve, tmp_path):
    server = serve("--probe", "/")
    tmp_path.joinpath("hello.py").write_text("def application(environ, start_response):\n    raise KeyError('tea')\n")
    _, err, code = server.command("reload")
    assert code == 1
    assert err.startswith("error: the probe of / raised KeyError: 'tea'\n")
    assert "line 2, in application" in err


def test_the_probe_of_a_django_project_has_a_host_that_it_allows(launch, tmp_path):
    tmp_path.joinpath("shop").mkdir()
    settings = SETTINGS.replace('["*"]', '[".shop.example"]')
    urls = URLS.replace(
        "HttpResponse(settings.GREETING)", "HttpResponse(status=200 + 300 * (request.get_host() != 'shop.example'))"
    )
    for name, text in {"manage": MANAGE, "shop/__init__": "", "shop/settings": settings, "shop/urls": urls}.items():
        tmp_path.joinpath(f"{name}.py").write_text(text)
    launch("--bind", "127.0.0.1:0", "--workers", "1", "--probe", "/").wait_for_worker(1)


HANGS = {
    "in Python": "import time\n\ndef wait():\n    time.sleep(3600)\n\nwait()\n",
    "in a loop": "def wait():\n    while True:\n        pass\n\nwait()\n",
}


@pytest.mark.parametrize("hang", HANGS)
def test_code_that_hangs_while_it_is_loaded_is_given_up_and_shows_where(serve, tmp_path, hang):
    server = serve("--boot-timeout", "300ms")
    tmp_path.joinpath("hello.py").write_text(HANGS[hang])
    _, err, code = server.command("reload")
    assert code == 1
    assert err.startswith("error: the application was not loaded within 300ms (boot_timeout)\n")
    assert "in wait" in err
    assert server.get() == f"one from {server.pids[0]}"


def test_code_that_hangs_when_the_server_starts_ends_it_with_an_error(launch, tmp_path):
    tmp_path.joinpath("hello.py").write_text(HANGS["in Python"])
    server = launch("hello", "--bind", "127.0.0.1:0", "--boot-timeout", "300ms")
    assert server.wait_for_end() == 1
    assert server.log.startswith("error: the application was not loaded within 300ms (boot_timeout)\n")


def test_each_worker_loads_the_application_when_preload_says_never(serve):
    server = serve("--preload", "never", workers=2, source="import os\nLOADED_BY = os.getpid()\n" + loaded_by())
    assert int(server.get()) in server.pids


def test_it_is_loaded_once_when_preload_says_always_whatever_runs_beside_it(serve):
    thread = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True, name='ticker').start()\n"
    source = thread + "import os\nLOADED_BY = os.getpid()\n" + loaded_by()
    server = serve("--preload", "always", workers=2, source=source)
    assert "forking beside threads (ticker), because preload = always" in server.log
    assert int(server.get()) == server.mold()


def loaded_by():
    return (
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [str(LOADED_BY).encode()]\n"
    )


@pytest.mark.parametrize("how", ["working directory", "--chdir"])
def test_a_release_behind_a_link_is_followed_anew(launch, tmp_path, how):
    for release in ("first", "second"):
        tmp_path.joinpath(release).mkdir()
        tmp_path.joinpath(release, "hello.py").write_text(hello(release))
        tmp_path.joinpath(release, "penstock.toml").write_text("[site]\nthreads = 2\n")
    link = tmp_path / "current"
    link.symlink_to("first")
    arguments = ["hello", "--bind", "127.0.0.1:0", "--workers", "1"]
    if how == "--chdir":
        server = launch(*arguments, "--chdir", "current").find_port()
    else:
        server = launch(*arguments, directory=link).find_port()
    first = server.wait_for_worker(1)
    assert server.get() == f"first from {first}"
    link.unlink()
    link.symlink_to("second")
    assert server.command("reload", "--chdir", str(link)) == ("generation 2 serves\n", "", 0)
    server.wait_until_left(first)
    assert server.get().startswith("second from")
    shutil.rmtree(tmp_path / "first")  # as deployment tools do some releases later
    assert server.command("reload", "--chdir", str(link)) == ("generation 3 serves\n", "", 0)
    assert server.get().startswith("second from")
    shutil.rmtree(tmp_path / "second")
    server.send("HUP")
    server.wait_for(
        "generation 4 failed, generation 3 serves on: (the directory .* cannot be entered|.* is not a directory)"
    )


def test_templates_and_the_names_of_static_files_are_fresh_after_a_reload(launch, tmp_path):
    manifest = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
    settings = f"""{SETTINGS}
INSTALLED_APPS = ["django.contrib.staticfiles"]
STATIC_ROOT = BASE_DIR / "static"
STORAGES = {{"staticfiles": {{"BACKEND": {manifest!r}}}}}
TEMPLATES = [{{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [BASE_DIR]}}]
"""
    urls = URLS.replace("HttpResponse(settings.GREETING)", "shortcuts.render(request, 'page.html')")
    tmp_path.joinpath("shop").mkdir()
    tmp_path.joinpath("static").mkdir()
    files = {"manage": MANAGE, "shop/__init__": "", "shop/settings": settings}
    for name, text in (files | {"shop/urls": f"from django import shortcuts\n{urls}"}).items():
        tmp_path.joinpath(f"{name}.py").write_text(text)

    def release(word):
        tmp_path.joinpath("page.html").write_text(f"{{% load static %}}{word} {{% static 'a.css' %}}")
        tmp_path.joinpath(f"static/a.{word}.css").write_text(f"{word} {{}}")
        names = {"version": "1.1", "paths": {"a.css": f"a.{word}.css"}, "hash": ""}
        tmp_path.joinpath("static/staticfiles.json").write_text(json.dumps(names))

    release("one")
    server = launch("--bind", "127.0.0.1:0", "--workers", "1").find_port()
    first = server.wait_for_worker(1)
    assert server.get() == "one /static/a.one.css"
    assert server.get("/static/a.one.css") == "one {}"
    release("two")
    assert server.command("reload") == ("generation 2 serves\n", "", 0)
    server.wait_until_left(first)
    assert server.get() == "two /static/a.two.css"
    assert server.get("/static/a.two.css") == "two {}"

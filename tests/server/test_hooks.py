"""Hooks in real processes: each writes a line to a file that the test reads once the server has ended."""

import pytest
from hello_site import hello

HOOKS = """\
import os

def write(*words):
    fd = os.open(__file__.replace("hooks.py", "told"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, " ".join(map(str, words)).encode() + b"\\n")
    os.close(fd)

def on_start(generation): write("on_start", generation)
def on_reload(generation): write("on_reload", generation)
def post_fork(number): write("post_fork", number)
def on_ready(number): write("on_ready", number)
def on_exit(number): write("on_exit", number)
def pre_request(environ): write("pre_request", environ["PATH_INFO"])
def post_request(environ, status): write("post_request", environ["PATH_INFO"], status)
def broken(*_): raise LookupError("no such luck")
"""
ALL = ("on_start", "on_reload", "post_fork", "on_ready", "on_exit", "pre_request", "post_request")


@pytest.fixture
def write_hooks(tmp_path):
    tmp_path.joinpath("hooks.py").write_text(HOOKS)
    return tmp_path


def flags(*names):
    return [word for name in names for word in (f"--{name.replace('_', '-')}", f"hooks:{name}")]


def told(directory):
    return directory.joinpath("told").read_text().splitlines()


def test_each_hook_is_called_at_its_moment(serve, write_hooks):
    server = serve(*flags(*ALL))
    server.get("/a")
    server.send("HUP")
    server.wait_until_left(*server.pids)
    server.send("TERM")
    assert server.wait_for_end() == 0
    lines = told(write_hooks)
    first = ["on_start 1", "post_fork 1", "on_ready 1", "pre_request /a", "post_request /a 200 OK"]
    assert lines[:5] == first
    # The old worker leaves once the new one is ready.
    assert lines[5:] == ["on_start 2", "on_reload 2", "post_fork 2", "on_ready 2", "on_exit 1", "on_exit 2"]


def test_without_preload_they_are_called_where_the_application_is_loaded(serve, write_hooks):
    server = serve(*flags("on_start", "post_fork"), "--preload", "never", workers=2)
    server.send("TERM")
    assert server.wait_for_end() == 0
    assert sorted(told(write_hooks)) == ["on_start 1", "on_start 1", "post_fork 1", "post_fork 2"]


@pytest.mark.parametrize(
    ("flag", "path", "message"),
    [
        ("--on-start", "hook:on_start", r"the hook on_start \(--on-start\): there is no module 'hook'"),
        ("--on-exit", "hooks:on_exits", r"the hook on_exit \(--on-exit\): hooks has no attribute 'on_exits'"),
        ("--on-start", "hooks:broken", "the hook on_start failed: LookupError: no such luck"),
        ("--post-fork", "hooks:broken", "the hook post_fork failed: LookupError: no such luck"),
        ("--on-ready", "hooks:broken", "the hook on_ready failed: LookupError: no such luck"),
    ],
)
def test_a_hook_that_is_not_there_or_fails_ends_the_start(launch, write_hooks, flag, path, message):
    write_hooks.joinpath("hello.py").write_text(hello("one"))
    server = launch("hello", "--bind", "127.0.0.1:0", flag, path)
    server.wait_for(f"error: {message}")
    assert server.wait_for_end() == 1


def test_a_hook_that_fails_keeps_the_old_generation(serve, write_hooks):
    server = serve(*flags("on_start"))
    write_hooks.joinpath("hooks.py").write_text(HOOKS.replace('write("on_start", generation)', "broken()"))
    server.send("HUP")
    server.wait_for("generation 2 failed, generation 1 serves on: the hook on_start failed: LookupError")
    assert server.get() == f"one from {server.pids[0]}"


def test_a_failing_on_exit_is_logged_and_the_worker_leaves(serve, write_hooks):
    server = serve("--on-exit", "hooks:broken")
    server.send("TERM")
    server.wait_for(rf"worker 1 \(pid {server.pids[0]}\): the hook on_exit failed: LookupError: no such luck")
    assert server.wait_for_end() == 0
    assert "exited with" not in server.log


def test_what_pre_request_raises_is_the_applications_error(serve, write_hooks):
    server = serve("--pre-request", "hooks:broken")
    assert "Internal Server Error" in server.get()
    server.wait_for("LookupError: no such luck")

"""Code that cannot be loaded, in each way in which it cannot, while clients ask: at a reload, and when a worker has to
be replaced while the files are broken.
"""

import os
import signal

import pytest

# A lock that is taken twice: no signal ends the wait.
HANGS_IN_C = """
import ctypes
lock = ctypes.create_string_buffer(64)
for _ in range(2):
    ctypes.PyDLL(None).pthread_mutex_lock(lock)
"""
BROKEN = {
    "syntax error": ("def (\n", "invalid syntax"),
    "import error": ("import surely_missing\n", "No module named 'surely_missing'"),
    "raises after a second": ("import time\ntime.sleep(1)\nraise KeyError('tea')\n", "KeyError: 'tea'"),
    "hangs for ever": ("import time\ntime.sleep(3600)\n", "was not loaded within 2s (boot_timeout)"),
    "hangs in C for ever": (HANGS_IN_C, "took longer than boot_timeout"),
    "ends its process": ("import os\nos._exit(3)\n", "exited with status 3"),
}
QUICK = ("--boot-timeout", "2s")


@pytest.mark.parametrize("how", BROKEN)
def test_a_reload_of_broken_code_interrupts_nobody(serve, load, tmp_path, how):
    text, reason = BROKEN[how]
    server = serve(*QUICK)
    with load(server) as clients:
        tmp_path.joinpath("under_load.py").write_text(text)
        out, err, code = server.command("reload")
        assert (out, code) == ("", 1)
        assert reason in err
        server.wait_for("generation 2 failed, generation 1 serves on")
        clients.go_on()
    clients.check()
    assert clients.words == {"one"}


@pytest.mark.parametrize("how", BROKEN)
def test_workers_are_replaced_while_the_files_are_broken(serve, load, tmp_path, how):
    server = serve(*QUICK, "--max-requests", "300")
    with load(server) as clients:
        tmp_path.joinpath("under_load.py").write_text(BROKEN[how][0])
        for _ in range(2):
            server.wait_for(r"\(pid \d+\) has left")
        clients.go_on()
    clients.check()
    assert clients.words == {"one"}


def test_a_killed_worker_is_replaced_while_the_files_are_broken(serve, load, tmp_path):
    server = serve()
    with load(server) as clients:
        tmp_path.joinpath("under_load.py").write_text("def (\n")
        with clients.pause():
            os.kill(server.pids[0], signal.SIGKILL)
            server.wait_for("was killed by SIGKILL")
        server.wait_for_worker(1)
        clients.go_on()
    clients.check()

import ast
import socket
from pathlib import Path
from types import SimpleNamespace

import penstock
from penstock.sockets import Listener
from penstock.worker import Worker


def options_of(config, number=1, workers=1):
    listener = Listener(socket.socket(), "tcp", "127.0.0.1", "8000", "")
    site = SimpleNamespace(config=config, mounts=[])
    options = Worker(
        SimpleNamespace(listeners=[listener], scoreboard=SimpleNamespace(fileno=lambda: 9), parent=None),
        number,
        workers,
    ).options(site)
    listener.socket.close()
    return options


def test_the_engine_is_told_exactly_what_it_knows(configure):
    stub = ast.parse(Path(penstock.__file__).with_name("_native.pyi").read_text())
    [entry] = [node for node in stub.body if isinstance(node, ast.ClassDef) and node.name == "EngineOptions"]
    known = {node.target.id for node in entry.body if isinstance(node, ast.AnnAssign)}
    behind_a_front = {"front_fd", "routes", "own_site", "script_name"}
    assert set(options_of(configure())) == known - behind_a_front


def test_values_reach_the_engine_in_its_units(configure):
    options = options_of(configure(head_timeout="500ms", max_head="8KiB", threads="auto", max_connections="7"))
    assert options["head_timeout"] == 0.5
    assert options["max_head"] == 8192
    assert options["threads"] == 8
    assert options["max_connections"] == 7


def test_multiprocess_is_true_to_fact(configure):
    assert options_of(configure(), workers=2)["multiprocess"] is True
    assert options_of(configure(), workers=1)["multiprocess"] is False


def test_each_worker_has_its_own_slot(configure):
    assert options_of(configure(), number=3)["scoreboard_slot"] == 2

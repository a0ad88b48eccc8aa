import re

import pytest

from penstock.errors import AppFailed, AppNotFound
from penstock.gateway.access import MOST_REMEMBERED, Access


def admits(access, address, path="/"):
    return access.admits({"REMOTE_ADDR": address, "PATH_INFO": path})


@pytest.mark.parametrize(
    ("allow", "deny", "address", "is_admitted"),
    [
        ([], [], "192.0.2.1", True),
        (["192.0.2.0/24"], [], "192.0.2.1", True),
        (["192.0.2.0/24"], [], "192.0.3.1", False),
        (["192.0.2.0/24"], ["192.0.2.1"], "192.0.2.1", False),
        (["192.0.2.0/24"], ["192.0.2.1"], "192.0.2.2", True),
        ([], ["2001:db8::/32"], "2001:db8:1::1", False),
        ([], ["2001:db8::/32"], "2001:db9::1", True),
        (["192.0.2.0/24"], [], "::ffff:192.0.2.9", True),
        (["::ffff:192.0.2.0/120"], [], "192.0.2.9", True),
        (["::ffff:192.0.2.0/120"], [], "::ffff:192.0.3.9", False),
        ([], ["::1", "127.0.0.0/8"], "::ffff:127.0.0.1", False),
        ([], ["fe80::/10"], "fe80::1%eth0", False),
        (["unix"], [], "", True),
        (["unix"], [], "192.0.2.1", False),
        (["0.0.0.0/0", "::/0"], [], "", False),
        ([], ["0.0.0.0/0"], "", True),
    ],
)
def test_deny_wins_and_allow_admits_nobody_else(allow, deny, address, is_admitted):
    access = Access(allow, deny, "test")
    assert [admits(access, address), admits(access, address)] == [is_admitted] * 2


def test_a_function_decides_for_each_request(own_process, tmp_path):
    tmp_path.joinpath("who.wsgi").write_text("def allow_access(environ, host): return environ['PATH_INFO'] == '/in'\n")
    access = Access([f"{tmp_path}/who.wsgi"], [], "test")
    assert admits(access, "192.0.2.1", "/in")
    assert not admits(access, "192.0.2.1", "/out")


def test_what_is_remembered_of_addresses_has_an_end():
    access = Access(["192.0.2.1"], [], "test")
    for number in range(MOST_REMEMBERED + 10):
        admits(access, f"10.0.{number // 256}.{number % 256}")
    assert len(access.allow.remembered) <= MOST_REMEMBERED


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("none.wsgi", None, "none.wsgi cannot be read: No such file"),
        ("who.wsgi", "allow_acess = None", r"has no allow_access\n\nhint: did you mean 'allow_acess'"),
        ("who.wsgi:no", "nope = None", "has no no"),
        ("who.wsgi", "def (", "invalid syntax in"),
        ("who.wsgi", "1 / 0", "cannot be loaded: ZeroDivisionError"),
    ],
)
def test_a_script_that_cannot_be_used_is_an_error_at_the_start(own_process, tmp_path, name, source, message):
    if source is not None:
        tmp_path.joinpath(name.partition(":")[0]).write_text(source)
    with pytest.raises((AppNotFound, AppFailed)) as caught:
        Access([f"{tmp_path}/{name}"], [], "--allow")
    assert re.search(f"^--allow: .*{message}", str(caught.value))

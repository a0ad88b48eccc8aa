import os

import bcrypt
import pytest

from penstock import log
from penstock.errors import ConfigurationError
from penstock.gateway import htpasswd
from penstock.gateway.htpasswd import HtpasswdFile

# "river €" as htpasswd, the C library's crypt and openssl keep it.
HASHES = {
    "bcrypt": "$2y$05$abcdefghijklmnopqrstuuZJVjU7cpIpPfpxfVWHH7/0q6vxF6yEe",
    "sha512": "$6$saltsalt$3hMYghsueS4u0vtzpWbRnyVv1uOCpvacL8vPu.yyrV9TQxsLTmZwWb8aO.fs2NDNOGsZOue70SIlAIQpclGeB0",
    "sha256": "$5$rounds=1000$saltsalt$0UaVIUFJSiLwCTK5dRYDC5GUPGtt2RIT4Gavj5./HC7",
    "md5": "$apr1$saltsalt$UvBC39MLA85k0qtVMHdxc1",
}


@pytest.fixture
def users(tmp_path):
    """A file with these lines, read."""

    def make(*lines):
        tmp_path.joinpath("users").write_text("".join(f"{line}\n" for line in lines))
        return HtpasswdFile(str(tmp_path / "users"), "test")

    return make


@pytest.mark.parametrize("kind", HASHES)
def test_the_right_password_is_told_from_a_wrong_one(users, kind):
    file = users("# who may come in", "", f"ann:{HASHES[kind]}")
    assert file.check_password({}, "ann", "river €") is True
    assert file.check_password({}, "ann", "river") is False
    assert file.check_password({}, "bob", "river €") is None


def test_an_unknown_user_takes_the_same_work(users, monkeypatch):
    checked = []
    file = users(f"ann:{HASHES['sha512']}", f"bob:{HASHES['sha512']}")
    monkeypatch.setattr(file, "check", lambda _, hash: checked.append(hash) or False)
    for user in ("ann", "nobody"):
        file.check_password({}, user, "x")
    assert checked == [HASHES["sha512"]] * 2


def test_a_long_password_of_bcrypt_counts_as_far_as_bcrypt_looks(users):
    hash = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
    assert users(f"ann:{hash}").check_password({}, "ann", "x" * 100) is True


@pytest.mark.parametrize("hash", ["$2y$05$short", "$6$saltsalt$short", "$5$", "$apr1$"])
def test_a_damaged_hash_is_nobodys(users, hash):
    assert users(f"ann:{hash}").check_password({}, "ann", "") is False


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", r"users:2: the password of ann is kept as SHA-1 without salt"),
        ("ann:rl5FQEAJ2hXsE", "users:2: the password of ann is kept in the old way of crypt, or as plain text"),
        ("ann:$1$salt$x", r"users:2: .* in a way that is not known \(\$1\$\)"),
        ("ann", "users:2 is not user:hash"),
        (":$6$x", "users:2 is not user:hash"),
    ],
)
def test_a_line_that_cannot_be_used_stops_the_start(users, line, message):
    with pytest.raises(ConfigurationError, match=f"^test: .*{message}") as caught:
        users(f"bob:{HASHES['md5']}", line)
    assert ("htpasswd -B" in caught.value.hint) == ("not taken" in caught.value.message)


def test_a_missing_file_and_a_missing_library_stop_the_start(users, tmp_path, monkeypatch):
    with pytest.raises(ConfigurationError, match=r"test: .*none cannot be read: No such file"):
        HtpasswdFile(str(tmp_path / "none"), "test")
    monkeypatch.setattr(htpasswd, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match="bcrypt is not installed") as caught:
        users(f"ann:{HASHES['bcrypt']}")
    assert caught.value.hint == "pip install 'penstock[htpasswd]'"


def test_a_changed_file_is_read_anew(users, tmp_path):
    file = users(f"ann:{HASHES['md5']}")
    tmp_path.joinpath("users").write_text(f"bob:{HASHES['md5']}\n# longer than before\n")
    assert file.check_password({}, "bob", "river €") is True
    assert file.check_password({}, "ann", "river €") is None


def test_a_file_that_was_spoilt_changes_nothing_and_is_told_of(users, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(log, "warning", told.append)
    file = users(f"ann:{HASHES['md5']}")
    tmp_path.joinpath("users").write_text("ann:plain text\n")
    assert file.check_password({}, "ann", "river €") is True
    os.unlink(tmp_path / "users")
    assert file.check_password({}, "ann", "river €") is True
    assert ["users:1: the password" in told[0], "cannot be read" in told[1]] == [True, True]

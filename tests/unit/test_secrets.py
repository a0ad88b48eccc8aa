import os

import pytest

from penstock.errors import ConfigurationError
from penstock.secrets import LARGEST, MASK, Concealed, find_secret, show


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("GREETING", "hello", "hello"),
        ("SECRET_KEY", "abc", MASK),
        ("db_password", "abc", MASK),
        ("DB_PWD", "abc", MASK),
        ("SENTRY_DSN", "https://abc@sentry", MASK),
        ("API_TOKEN", "abc", MASK),
        ("SECRET_KEY_FILE", "/run/secrets/key", "/run/secrets/key"),
        ("DATABASE_URL", "postgres://shop:p@ss:word@db/shop?x=1", f"postgres://shop:{MASK}@db/shop?x=1"),
        ("CACHE", "redis://:abc@cache/0", f"redis://:{MASK}@cache/0"),
        ("PAGE", "http://host:8000/@name", "http://host:8000/@name"),
    ],
)
def test_a_value_is_masked_when_its_name_or_its_form_sounds_secret(name, value, shown):
    assert show(name, value) == shown


def test_a_systemd_credential_of_the_name_is_the_secret(tmp_path):
    tmp_path.joinpath("KEY").write_text("k\r\n")
    found = find_secret("KEY", {"CREDENTIALS_DIRECTORY": str(tmp_path)}, "/")
    assert found == ("k", f"a systemd credential ({tmp_path}/KEY)")
    assert find_secret("OTHER", {"CREDENTIALS_DIRECTORY": str(tmp_path)}, "/") is None


def test_only_the_line_break_at_the_end_is_no_part_of_a_secret(tmp_path):
    tmp_path.joinpath("key").write_text(" two\nlines \n")
    assert find_secret("KEY", {"KEY_FILE": "key"}, str(tmp_path))[0] == " two\nlines "


def test_a_secret_that_is_given_twice_is_refused(tmp_path):
    tmp_path.joinpath("KEY").write_text("k")
    given = {"KEY": "a", "KEY_FILE": "KEY", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    with pytest.raises(ConfigurationError) as caught:
        find_secret("KEY", given, str(tmp_path))
    assert caught.value.message == (
        "the secret KEY is given more than once: by the variable KEY and by KEY_FILE and by a systemd credential"
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        (b"\n", "it is empty"),
        (b"\xff", "it is not UTF-8"),
        (b"a\0b", "it has a zero byte"),
        (b"a" * (LARGEST + 1), "it is larger than 64 KiB"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused_with_the_reason(tmp_path, content, reason):
    if content is not None:
        tmp_path.joinpath("key").write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        find_secret("KEY", {"KEY_FILE": "key"}, str(tmp_path))
    assert f"the secret KEY cannot be read from {tmp_path}/key (KEY_FILE): {reason}" in caught.value.message


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused_without_waiting_for_it(tmp_path, make):
    make(tmp_path / "key")
    with pytest.raises(ConfigurationError, match=r"it is not a file|Is a directory"):
        find_secret("KEY", {"KEY_FILE": "key"}, str(tmp_path))


def test_what_is_concealed_is_masked_also_line_by_line():
    concealed = Concealed()
    concealed.add([("LISTED", "first-line\nsecond-line", True), ("URL", "db://me:pass-word@host", False)])
    assert concealed.mask("a second-line, pass-word and host") == f"a {MASK}, {MASK} and host"


def test_ordinary_and_short_values_stay_readable():
    concealed = Concealed()
    concealed.add([("GREETING", "hello world", False), ("KEY", "12345", True)])
    assert concealed.mask("hello world 12345") == "hello world 12345"

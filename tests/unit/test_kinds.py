import pytest

from penstock.kinds import (
    Address,
    Choice,
    Count,
    Duration,
    Flag,
    Folders,
    Listing,
    LogConfig,
    Mask,
    Name,
    Path,
    Rate,
    Server,
    SiteAddress,
    Size,
    Variables,
    Workers,
)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("500ms", 0.5), ("2m", 120), ("1.5h", 5400), ("7", 7), (0.25, 0.25), (0, 0)]
)
def test_a_duration_is_kept_in_seconds(text, seconds):
    assert Duration(0, 86400).read(text, "/") == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "1 day", "1e3", "nan", "25h", True, None, "30s;", "٣s"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="expected a duration like"):
        Duration(0, 86400).read(text, "/")


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (0.5, "500ms"), (75, "75s"), (120, "2m"), (7200, "2h")])
def test_a_duration_is_shown_in_the_largest_unit_that_is_exact(seconds, text):
    assert Duration(0, 86400).show(seconds) == text
    assert Duration(0, 86400).read(text, "/") == seconds


@pytest.mark.parametrize(
    ("text", "size"), [("8KiB", 8192), ("1MiB", 2**20), ("1 GiB", 2**30), ("5kB", 5000), ("12B", 12), (99, 99)]
)
def test_a_size_is_kept_in_bytes(text, size):
    assert Size(0, 2**40).read(text, "/") == size


@pytest.mark.parametrize("text", ["1.5KiB", "-1", "8 kib", "1TiB", "", 1.5])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match="expected a size like"):
        Size(0, 2**40).read(text, "/")


def test_a_size_outside_its_limits_is_refused_with_the_limits():
    with pytest.raises(ValueError, match="from 256B to 1MiB"):
        Size(256, 2**20).read("2MiB", "/")


def test_a_rate_may_say_per_second():
    assert Rate(0, 2**31).read("500B/s", "/") == Rate(0, 2**31).read("500", "/") == 500
    assert Rate(0, 2**31).show(500) == "500B/s"


def test_a_count_may_be_auto_only_where_that_means_something():
    assert Count(1, 10, auto=True).read("auto", "/") == "auto"
    with pytest.raises(ValueError, match=r"from 1 to 10$"):
        Count(1, 10).read("auto", "/")


@pytest.mark.parametrize("value", ["0", "11", "1.0", "", "two", True, -3, "１"])  # noqa: RUF001
def test_a_count_outside_its_limits_is_refused(value):
    with pytest.raises(ValueError, match="a whole number from 1 to 10"):
        Count(1, 10).read(value, "/")


@pytest.mark.parametrize(
    ("value", "truth"), [("on", True), ("FALSE", False), (True, True), ("0", False), ("yes", True)]
)
def test_a_flag_has_the_usual_words(value, truth):
    assert Flag().read(value, "/") is truth


def test_a_flag_refuses_other_words():
    with pytest.raises(ValueError, match="true or false"):
        Flag().read("maybe", "/")


def test_a_choice_refuses_other_words():
    with pytest.raises(ValueError, match="one of auto, off"):
        Choice("auto", "off").read("on", "/")


def test_a_relative_path_refers_to_the_directory_that_names_it():
    assert Path().read("var/../log", "/srv/site") == "/srv/site/log"
    assert Path().read("/var/log", "/srv/site") == "/var/log"
    assert Path(special=("-",)).read("-", "/srv/site") == "-"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("8000", "127.0.0.1:8000"),
        (":8000", "0.0.0.0:8000"),
        ("localhost:80", "localhost:80"),
        ("[::1]:8000", "[::1]:8000"),
        ("unix:run/site.sock", "unix:/srv/run/site.sock"),
        ("fd://3", "fd://3"),
        ("fd://web.socket", "fd://web.socket"),
    ],
)
def test_an_address_is_normalised(text, address):
    assert Address().read(text, "/srv") == address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("uwsgi:unix:run/s", "uwsgi:unix:/srv/run/s"),
        ("uwsgi:3031", "uwsgi:127.0.0.1:3031"),
        ("uwsgi:[::1]:3031", "uwsgi:[::1]:3031"),
        ("uwsgi:fd://3", "uwsgi:fd://3"),
        ("unix:run/s", "unix:/srv/run/s"),
        (8000, "127.0.0.1:8000"),
    ],
)
def test_a_site_may_be_spoken_to_in_uwsgi(text, address):
    assert SiteAddress().read(text, "/srv") == address


@pytest.mark.parametrize("text", ["uwsgi:", "uwsgi:unix:", "uwsgi:host", "uwsgi:http://a:80"])
def test_what_is_no_address_is_none_behind_uwsgi_either(text):
    with pytest.raises(ValueError, match="each also behind uwsgi:"):
        SiteAddress().read(text, "/")


@pytest.mark.parametrize("text", ["", "host", "host:", ":::80", "host:65536", "unix:", "fd://", "::1:80", "a/b:80"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match="expected host:port"):
        Address().read(text, "/")


@pytest.mark.parametrize("value", ["1, 2", ["1", "2"], [1, 2]])
def test_a_list_comes_from_commas_flags_and_arrays(value):
    assert Listing(Count(1, 9)).read(value, "/") == [1, 2]


def test_a_list_of_wrong_items_is_refused():
    with pytest.raises(ValueError, match="whole number"):
        Listing(Count(1, 9)).read(["1", "x"], "/")
    with pytest.raises(ValueError, match="a list"):
        Listing(Count(1, 9)).read(5, "/")


@pytest.mark.parametrize("value", ["/static=var", ["/static/=var"], {"/static": "var"}])
def test_folders_come_from_text_flags_and_tables(value):
    assert Folders().read(value, "/srv") == {"/static/": "/srv/var"}


@pytest.mark.parametrize("value", [["static=var"], ["/=var"], ["/static"], ["/static="], 5])
def test_folders_that_would_swallow_the_site_or_lack_a_part_are_refused(value):
    with pytest.raises(ValueError, match="/URL=DIR"):
        Folders().read(value, "/srv")


@pytest.mark.parametrize("text", ["", "127.0.0.1:8125", "statsd.example:8125", "[::1]:8125"])
def test_another_server_is_a_host_and_a_port(text):
    assert Server().read(text, "/") == text


@pytest.mark.parametrize("text", ["8125", ":8125", "host", "host:0", "host:65536", "::1:8125", "a b:1"])
def test_what_is_no_host_and_port_is_refused(text):
    with pytest.raises(ValueError, match="expected host:port"):
        Server().read(text, "/")


@pytest.mark.parametrize(
    ("text", "where"),
    [("", ""), ("log.toml", "/srv/log.toml"), ("/etc/log.json", "/etc/log.json"), ("site.log:LOG", "site.log:LOG")],
)
def test_a_log_configuration_is_a_file_or_a_name_in_a_module(text, where):
    assert LogConfig().read(text, "/srv") == where


@pytest.mark.parametrize("text", ["log.yaml", "site.log", "a/b:LOG", "site.log:LOG:X"])
def test_what_is_neither_is_refused(text):
    with pytest.raises(ValueError, match=r"a \.json or \.toml file, or module:attribute"):
        LogConfig().read(text, "/srv")


@pytest.mark.parametrize(
    ("written", "read"), [("auto", "auto"), (3, 3), ("3", 3), ("2..8", "2..8"), ("4..4", 4)], ids=str
)
def test_workers_are_a_number_a_range_or_auto(written, read):
    assert Workers(1024).read(written, "") == read


@pytest.mark.parametrize("written", ["0", "8..2", "0..3", "2..", "..8", "auto..3", "2..4000", "1..2..3"])
def test_a_senseless_number_of_workers_is_refused(written):
    with pytest.raises(ValueError, match=r'a range like "2\.\.8"'):
        Workers(1024).read(written, "")


@pytest.mark.parametrize(("text", "mask"), [("", ""), ("027", "027"), ("22", "022"), ("0o7", "007"), ("0", "000")])
def test_a_mask_is_octal(text, mask):
    assert Mask().read(text, "/") == mask


# A number in TOML could be meant as octal or as decimal.
@pytest.mark.parametrize("value", ["8", "-1", "rwx", "00000", 23, True])
def test_what_is_no_mask_is_refused(value):
    with pytest.raises(ValueError, match="expected an octal number"):
        Mask().read(value, "/")


@pytest.mark.parametrize("value", ["A=1,B=x=y", ["A=1", "B=x=y"], {"A": "1", "B": "x=y"}])
def test_variables_are_a_table_a_list_or_text(value):
    assert Variables().read(value, "/") == {"A": "1", "B": "x=y"}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("A", "expected NAME=VALUE"),
        (7, "expected NAME=VALUE"),
        ("1A=x", "'1A' is not the name of a variable"),
        ({"A B": "x"}, "'A B' is not the name of a variable"),
        ({"A": 1}, "the value of A must be text: write it in quotes"),
        ({"A": "\0"}, "the value of A must be text"),
    ],
)
def test_what_are_no_variables_is_refused(value, reason):
    with pytest.raises(ValueError, match=reason):
        Variables().read(value, "/")


def test_variables_are_shown_without_what_sounds_secret():
    assert Variables().show({"A": "1", "KEY": "x"}) == "A=1, KEY=••••"
    assert "x" not in Variables().quote({"KEY": "x"})


def test_a_name_must_look_like_one():
    name = Name("NAME", "[a-z]*", "a small name")
    assert (name.read("abc", "/"), name.read("", "/")) == ("abc", "")
    with pytest.raises(ValueError, match="expected a small name"):
        name.read("a/b", "/")

"""Log files that only one of several users could own."""

import os
from pathlib import Path

import pytest

from penstock.config import load
from penstock.errors import ConfigurationError
from penstock.sites.log_files import refuse_shared_logs

pytestmark = pytest.mark.skipif(bool(os.geteuid()), reason="only root can become another user")

FILE = """\
[server]
error_log = "server.log"
[sites.shop]
user = "daemon"
error_log = "{shop}"
hosts = ["shop.example"]
[sites.blog]
user = "{user}"
error_log = "{blog}"
access_log = "blog_access.log"
hosts = ["blog.example"]
"""


@pytest.fixture
def refuse(tmp_path):
    def checked(shop, blog, user="games"):
        tmp_path.joinpath("penstock.toml").write_text(FILE.format(shop=shop, blog=blog, user=user))
        start = str(tmp_path)
        sites = {name: load({"site": name}, {}, start) for name in ("shop", "blog")}
        refuse_shared_logs(load({}, {}, start), sites)

    return checked


@pytest.mark.parametrize(
    ("shop", "blog", "user"),
    [
        ("shop.log", "blog.log", "games"),
        ("-", "-", "games"),
        ("both.log", "both.log", "daemon"),
        ("shop.log", "shop.log", "no-such-user"),  # said when that site starts
    ],
)
def test_files_of_their_own_common_output_and_a_common_user_are_fine(refuse, shop, blog, user):
    refuse(shop, blog, user)


def test_two_users_cannot_share_a_file(refuse):
    message = r"the site shop \(daemon\) and the site blog \(games\) would both write"
    with pytest.raises(ConfigurationError, match=message) as told:
        refuse("both.log", "both.log")
    assert "penstock.toml:9" in str(told.value)
    assert "name another one for the site blog" in told.value.hint


def test_a_site_with_a_user_cannot_write_to_the_file_of_the_parent(refuse):
    with pytest.raises(ConfigurationError, match=r"Penstock itself and the site blog \(games\) would both write"):
        refuse("shop.log", "server.log")


def test_a_site_is_told_about_the_file_that_it_has_from_the_server_section(tmp_path):
    text = FILE.format(shop="shop.log", blog="blog.log", user="games").replace('error_log = "blog.log"\n', "")
    Path(tmp_path, "penstock.toml").write_text(text)
    start = str(tmp_path)
    with pytest.raises(ConfigurationError, match=r"server.log \(.*penstock.toml:2\)"):
        refuse_shared_logs(load({}, {}, start), {"blog": load({"site": "blog"}, {}, start)})

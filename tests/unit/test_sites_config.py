import pytest

from penstock.cli import main
from penstock.config import load
from penstock.errors import ConfigurationError


@pytest.fixture
def configured(tmp_path):
    def read(text, site="", environment=None, **arguments):
        path = tmp_path / "penstock.toml"
        path.write_text(text)
        chosen = {"site": site} if site else {}
        return load({"config": str(path), **chosen, **arguments}, environment or {}, str(tmp_path))

    return read


TWO = """[server]
bind = ["127.0.0.1:0"]
access_log = "all.log"
[sites.shop]
hosts = ["Shop.Example.", "*.shop.example"]
workers = 2
access_log = "shop.log"
[sites.shop.static]
"/static/" = "files"
[[sites.shop.auth]]
path = "/reports/"
[sites.blog]
path = "/blog"
default = true
"""


def test_each_site_has_its_own_values_and_those_of_the_server(configured, tmp_path):
    shop, blog = configured(TWO, "shop"), configured(TWO, "blog")
    assert shop.hosts == ["shop.example", "*.shop.example"]
    assert (shop.workers, blog.workers) == (2, "auto")
    assert shop.static == {"/static/": str(tmp_path / "files")}
    assert [rule["path"] for rule in shop.auth] == ["/reports"]
    assert (shop.access_log, blog.access_log) == (str(tmp_path / "shop.log"), str(tmp_path / "all.log"))
    assert shop.origin("workers").endswith("penstock.toml:6")
    assert (blog.path, blog.default) == ("/blog", True)


def test_without_a_name_the_sites_are_only_listed(configured):
    config = configured(TWO)
    assert tuple(config.sites) == ("shop", "blog")
    assert config.workers == "auto"


def test_one_site_is_not_several(configured):
    assert not configured("[site]\nworkers = 1\n").has_sites


def test_what_names_one_application_is_not_taken_for_each_of_several(configured, tmp_path):
    config = configured(TWO, "shop", {"PENSTOCK_APP": "other:app", "PENSTOCK_THREADS": "3"}, settings="other.settings")
    assert (config.app, config.settings, config.threads) == ("", "", 3)
    assert config.directory == str(tmp_path)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[sites.shop]\nworkrs = 1\n", r"toml:2: \[sites.shop\] has no key 'workrs'", "did you mean 'workers'?"),
        ("[sites.shop]\nbind = 1\n", r"toml:2: \[sites.shop\] has no key 'bind'", "it belongs in [server]"),
        ('[sites.shop]\nhosts = ["a b"]\n', "hosts cannot be", ""),
        ('[sites.shop]\nhosts = ["a.example:80"]\n', "without a port", ""),
        ("[site]\nhosts = []\n", r"\[site\] has no key 'hosts'", "it belongs in [sites.NAME]"),
        ('[sites."a.b"]\n', "cannot be named 'a.b'", "letters, digits, - and _"),
        ("sites = 3\n", "neither tables nor a pattern", 'sites = "sites.d/*.toml"'),
        ("[sites]\nshop = 1\n", "the site shop is no table", "as in [sites.shop]"),
        ("[sites.shops]\n", "there is no site 'shop' in", "did you mean 'shops'?"),
        ("[site]\n", "there are no sites in", "[sites.NAME]"),
    ],
)
def test_a_mistake_in_the_table_of_a_site_is_named(configured, text, message, hint):
    with pytest.raises(ConfigurationError, match=message) as error:
        configured(text, "" if "[site]\nh" in text else "shop")
    assert hint in error.value.hint


def test_each_file_of_a_directory_is_a_site(configured, tmp_path):
    tmp_path.joinpath("sites.d").mkdir()
    tmp_path.joinpath("sites.d/shop.toml").write_text('[site]\nhosts = ["shop.example"]\nchdir = "../shop"\n')
    tmp_path.joinpath("shop").mkdir()
    text = 'sites = "sites.d/*.toml"\n[server]\nbacklog = 7\n'
    shop = configured(text, "shop")
    assert shop.sites == ("shop",)
    assert (shop.hosts, shop.backlog, shop.directory) == (["shop.example"], 7, str(tmp_path / "shop"))


def test_the_file_of_a_site_has_nothing_of_the_server(configured, tmp_path):
    tmp_path.joinpath("shop.toml").write_text('[site]\nhosts = ["a.example"]\n[server]\nbind = ["x"]\n')
    with pytest.raises(ConfigurationError, match=r"shop\.toml:3: unknown key 'server'") as error:
        configured('sites = "shop.toml"\n', "shop")
    assert "the file of a site has [site]" in error.value.hint


def test_an_environment_has_its_own_values_for_a_site(configured):
    text = TWO + "[env.live.sites.shop]\nworkers = 8\n"
    assert configured(text, "shop", env="live").workers == 8
    assert configured(text, "blog", env="live").workers == "auto"


def test_the_uwsgi_protocol_is_refused_for_several_sites(tmp_path, monkeypatch, capsys):
    text = '[server]\nbind = ["uwsgi:127.0.0.1:3031"]\n[sites.shop]\napp = "shop.wsgi"\nhosts = ["shop.example"]\n'
    tmp_path.joinpath("penstock.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    assert main(["serve"]) == 2
    assert "several sites cannot be reached by the uwsgi protocol" in capsys.readouterr().err

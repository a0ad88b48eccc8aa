import pytest

from penstock.config import load
from penstock.errors import PenstockError
from penstock.processes import Channel
from penstock.sites.process import Sites
from penstock.sites.site_handle import SiteHandle

ONE = '[sites.shop]\nhosts = ["shop.example"]\n'


@pytest.fixture
def sites(tmp_path):
    """A parent that has started nothing yet, and knows one site."""
    path = tmp_path / "penstock.toml"
    path.write_text(ONE)
    arguments = {"config": str(path)}
    sites = Sites(load(arguments, {}, str(tmp_path)), arguments, str(tmp_path))
    config = load({**arguments, "site": "shop"}, {}, str(tmp_path))
    sites.sites["shop"] = SiteHandle(sites, "shop", 0, sites.front.free_slot(), config)
    sites.state.add("shop", on_demand=False, graceful=1.0, now=0.0)
    yield sites
    sites.clean_up()


@pytest.fixture
def supervisor_of_shop(sites):
    """The other end of the site's channel."""
    ours, theirs = Channel.pair()
    sites.sites["shop"].channel = ours
    sites.watch(ours.end, lambda _: None)
    yield theirs
    theirs.close()


def test_sites_hear_of_new_rules_also_while_the_front_is_replaced(sites, supervisor_of_shop, monkeypatch):
    monkeypatch.setattr(sites.front, "start", lambda: None)
    sites.route()
    [message] = supervisor_of_shop.receive_waiting()
    assert message == {"routes": [{"hosts": ["shop.example"], "path": "/", "site": 0}]}


def test_what_a_supervisor_said_before_it_went_is_heard(sites, supervisor_of_shop):
    supervisor_of_shop.send({"event": "ready"})
    supervisor_of_shop.close()
    sites.listen_to(sites.sites["shop"])
    assert sites.state.sites["shop"].state == "up"
    assert sites.sites["shop"].channel is None
    assert not sites.watched


def test_a_site_may_leave_before_there_is_a_front(sites):
    sites.forget(sites.sites.pop("shop"))
    assert sites.front.names == []


def test_nothing_begins_while_everything_ends(sites):
    sites.is_stopping = True
    with pytest.raises(PenstockError, match="the supervisor is stopping"):
        sites.reload(reloads=True)
    with pytest.raises(PenstockError, match="the supervisor is stopping"):
        sites.start_site("shop", lambda _: None)

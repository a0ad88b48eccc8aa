"""A site's connections to a real PostgreSQL: none shared, none lost, none that nobody needs."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from postgresql import database
from running_site import CHECKOUT, serve

APPS = CHECKOUT / "tests/apps"


@pytest.fixture(scope="module")
def shared_database():
    with database() as running:
        yield running


@pytest.fixture
def db(shared_database):
    """The database, without a connection of a site before and after each test."""
    assert shared_database.count() == 0
    yield shared_database
    assert shared_database.count() == 0


@pytest.fixture
def serve_site(db):
    """Serves the site; what it adds to the environment decides how it keeps connections."""

    def begin(*arguments, **environment):
        return serve(APPS, "django_database", *arguments, DATABASE_SOCKET=db.socket, **environment)

    return begin


def ask_three(site):
    """Three requests that are answered together: what process answered each, and over which connection."""
    with ThreadPoolExecutor(3) as clients:
        return list(clients.map(lambda _: tuple(site.get("/three").text.split()), range(3)))


@pytest.mark.parametrize("middleware", ["Passes", "Joins"])
def test_without_conn_max_age_no_request_leaves_its_connection(serve_site, db, middleware):
    with serve_site("--workers", "1", "--middleware", f"middlewares:{middleware}") as site:
        backends = {backend for _, backend in ask_three(site)}
        assert len(backends) == 3
        db.wait_until_left(3)
        assert db.count() == 0


def test_connections_live_as_long_as_conn_max_age_says_and_no_longer_though_nobody_asks(serve_site, db):
    with serve_site("--workers", "1", CONN_MAX_AGE="2") as site:
        ask_three(site)
        assert db.count() == 3
        db.wait_until_left(3)
        assert db.count() == 0


def test_connections_that_are_kept_for_ever_end_with_their_worker(serve_site, db):
    with serve_site("--workers", "1", CONN_MAX_AGE="null") as site:
        ask_three(site)
        assert db.count() == 3
    db.wait_until_left(3)


def test_a_worker_that_is_replaced_takes_its_connections_with_it(serve_site, db):
    with serve_site("--workers", "1", "--max-requests", "3", CONN_MAX_AGE="null") as site:
        ask_three(site)
        db.wait_until_left(3)
        assert db.count() == 0


@pytest.mark.parametrize("pool", ["false", "true"])
def test_a_connection_that_loading_has_opened_is_shared_by_no_worker(serve_site, db, pool):
    kept = "0" if pool == "true" else "null"
    arguments = ("--workers", "2", "--preload", "auto")
    with serve_site(*arguments, CONN_MAX_AGE=kept, POOL=pool, QUERY_AT_IMPORT="1") as site:
        used = {}
        while len(used) < 2:
            # A connection for each: kept-alive ones stay with their worker.
            pid, backend = site.get("/", headers={"Connection": "close"}).text.split()
            used.setdefault(pid, set()).add(backend)
        first, second = used.values()
        assert not first & second
        assert "started threads" not in site.log()


def test_a_pool_is_shared_by_the_threads_and_ends_with_the_worker(serve_site, db):
    pool = '{"min_size": 1, "max_size": 3}'
    with serve_site("--workers", "1", "--threads", "8", POOL=pool) as site:
        for _ in range(3):
            ask_three(site)
        assert 1 <= db.count() <= 3

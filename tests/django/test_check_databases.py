"""Workers, threads and pools against what a real PostgreSQL allows; and a database that is not there."""

import psycopg
import pytest
from postgresql import database

CONNECTION = """
DATABASES = {{"default": {{
    "ENGINE": "django.db.backends.postgresql", "HOST": "{host}", "USER": "postgres", "NAME": "postgres",
    "CONN_MAX_AGE": {age}, "OPTIONS": {options},
}}}}
"""


@pytest.fixture(scope="module")
def server():
    with database() as running:
        yield running


@pytest.fixture
def found_with(spoilt):
    """What is found with a database, by id."""

    def find(*arguments, host="/nowhere", age=60, options="{}"):
        spoilt.add(CONNECTION.format(host=host, age=age, options=options))
        return {id[-4:]: one for id, one in spoilt.check("--silenced-checks", "penstock.W603", *arguments).items()}

    return find


def test_a_database_that_does_not_answer_is_found(found_with):
    assert "/nowhere" in found_with()["W502"]["message"]


def test_a_pool_beside_persistent_connections_is_refused(found_with):
    assert "E503" in found_with(options="{'pool': True}")


def test_a_pool_that_is_smaller_than_the_threads_is_found(found_with):
    found = found_with("--threads", "6", age=0, options="{'pool': {'max_size': 5}}")
    assert found["W504"]["message"] == "the pool of 'default' has 5 connections, a worker 6 threads"


def test_connecting_anew_for_each_request_is_found(found_with):
    assert "I505" in found_with(age=0)


def test_more_connections_than_the_database_has_are_found(found_with, server):
    found = found_with("--workers", "1000", "--threads", "8", host=server.socket)
    assert found["W501"]["message"].startswith("the site may open 8000 connections to 'default', which allows ")
    assert "W501" not in found_with("--workers", "1", "--threads", "1", host=server.socket)


def test_a_pool_is_the_most_that_a_worker_opens(found_with, server):
    pool = "{'pool': {'max_size': 2}}"
    assert "W501" not in found_with("--workers", "2", "--threads", "1", host=server.socket, age=0, options=pool)


def test_the_limit_of_the_user_counts(found_with, server):
    with psycopg.connect(host=server.socket, user="postgres", dbname="postgres", autocommit=True) as own:
        own.execute("ALTER DATABASE postgres CONNECTION LIMIT 3")
        try:
            found = found_with("--workers", "1", "--threads", "4", host=server.socket)
        finally:
            own.execute("ALTER DATABASE postgres CONNECTION LIMIT -1")
    assert found["W501"]["message"] == "the site may open 4 connections to 'default', which allows 3"

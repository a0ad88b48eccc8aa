"""The documentation's table of behaviours says what the tests' tables say. Starts no server."""

from behaviour_page import page
from behaviour_projects import CHECKOUT
from behaviour_servers import SERVERS
from behaviours import TABLE


def test_the_page_of_behaviours_is_fresh():
    assert CHECKOUT.joinpath("docs/reference/behaviour.md").read_text() == page(), (
        "run `python tests/interop/behaviour_page.py docs/reference/behaviour.md` and check the changes in"
    )


def test_every_cell_that_is_explained_is_one_of_the_table():
    behaviours = {behaviour.id for behaviour in TABLE}
    assert [cell for server in SERVERS for cell in server.cells if cell not in behaviours] == []


def test_penstock_answers_everything_as_the_table_has_it():
    assert (SERVERS[0].name, SERVERS[0].cells) == ("Penstock", {})

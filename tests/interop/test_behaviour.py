"""The same list of requests gets the same answers from every server, but for the cells that say otherwise."""

import http.client
from collections.abc import Iterator

import pytest
from behaviour_cells import Absent, Different
from behaviour_projects import PROJECTS, Place, ready
from behaviour_servers import SERVERS, Running, Server, servers_of
from behaviour_visitor import Visitor
from behaviours import TABLE, Behaviour


@pytest.fixture(scope="module", params=PROJECTS)
def place(request) -> Iterator[Place]:
    with ready(PROJECTS[request.param]) as found:
        yield found


@pytest.fixture(scope="module")
def servers(place) -> Iterator[Running]:
    with servers_of(place) as running:
        yield running


@pytest.mark.parametrize("behaviour", TABLE, ids=lambda behaviour: behaviour.id)
@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_the_answer_is_the_one_that_the_table_says(place, servers, server: Server, behaviour: Behaviour):
    if behaviour.projects and place.project.name not in behaviour.projects:
        pytest.skip(f"only {' and '.join(behaviour.projects)} has this page")
    visitor = Visitor(servers.address(server), place.project)
    try:
        answer = behaviour.ask(visitor)
    except (OSError, http.client.HTTPException) as error:
        answer = f"no answer ({type(error).__name__})"
    match server.cells.get(behaviour.id):
        case None:
            assert answer == behaviour.answer
        case Different(expected):
            assert answer == expected
        case Absent():
            assert answer != behaviour.answer, "it is offered by now: the table has to say so"

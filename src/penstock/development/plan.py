"""What the reloader is to run, in a form that survives the start of another program."""

import json
from typing import Any, NamedTuple

from penstock.development.address import Address


class Plan(NamedTuple):
    """One development server."""

    arguments: list[str]  # sys.argv of the program
    module: str  # the program, when it is a module and no file
    is_penstock: bool  # the program is `penstock runserver` itself
    options: dict[str, Any]  # settings that the command line gave
    directory: str  # where it was started
    address: Address
    command: str  # how the developer would write the command
    fd: int = -1  # of the listening socket, when there is one already

    def pack(self) -> str:
        """For the command line of the other program."""
        return json.dumps(self)

    @classmethod
    def unpack(cls, text: str) -> "Plan":
        """The plan that was packed."""
        plan = cls(*json.loads(text))
        return plan._replace(address=Address(*plan.address))

"""The admin listener as the command line or the environment gives it: it wins over the policy file's."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from keeptrusts.cli.failure import Failure

if TYPE_CHECKING:
    from keeptrusts.core.rulebook.rulebook import Rulebook

ADMIN_LISTEN = "KEEPTRUSTS_ADMIN_LISTEN"
"""Also how ``--admin-listen`` reaches the workers that a supervisor starts."""


def with_admin_listen(rulebook: "Rulebook", environ: Mapping[str, str]) -> "Rulebook":
    """The rules with the listener that the environment names. Raises Failure when it is no address."""
    import msgspec
    from pydantic_core import PydanticCustomError

    from keeptrusts.core.rulebook.policy_file.watching import admin_address

    given = environ.get(ADMIN_LISTEN)
    if not given:
        return rulebook
    try:
        listen = admin_address(given)
    except PydanticCustomError as error:
        raise Failure(f"--admin-listen ({ADMIN_LISTEN}) {given!r}: {error.message()}") from None
    return msgspec.structs.replace(rulebook, admin=msgspec.structs.replace(rulebook.admin, listen=listen))

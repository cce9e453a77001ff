"""Who a call belongs to: the dimensions that are bound to the credential and that every ledger row carries."""

from msgspec import Struct

DIMENSIONS = (
    "team",
    "application",
    "feature",
    "environment",
    "project",
    "customer",
    "department",
    "user",
    "cost_center",
)
"""Dimensions that ``attribution.required`` may name, in the order in which errors list them."""


class Attribution(Struct, frozen=True, array_like=True, gc=False):
    """One value per dimension; None where the credential binds none. ``team`` is a team id."""

    team: str | None = None
    application: str | None = None
    feature: str | None = None
    environment: str | None = None
    project: str | None = None
    customer: str | None = None
    department: str | None = None
    user: str | None = None
    cost_center: str | None = None

    def missing(self, required: tuple[str, ...]) -> list[str]:
        """The required dimensions that have no value, in the order of ``DIMENSIONS``."""
        return [name for name in DIMENSIONS if name in required and not getattr(self, name)]

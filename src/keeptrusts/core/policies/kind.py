"""What a kind of policy is: the settings it takes, and the rules that it makes of them."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct
from pydantic import BaseModel

from keeptrusts.core.policies.phrases import Phrases


class Rule(Struct, frozen=True):
    """What to look for and what to call it. ``subject`` and ``label`` make the action's name: ``content_flagged:hate``."""

    subject: str
    label: str
    phrases: Phrases


class Kind(Struct, frozen=True):
    """``settings`` is what ``config`` may hold; ``rules`` compiles a config that these settings accept."""

    settings: type[BaseModel]
    rules: Callable[[Mapping[str, Any]], tuple[Rule, ...]]

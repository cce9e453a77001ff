"""What proves a model's thinking to a provider of the Responses dialect: the encrypted content of its reasoning items.

Source: the ``ReasoningItem`` schema of OpenAI's API description. Providers refuse a call that holds content which they did
not seal, so it carries a mark through the neutral form that says whose it is.
"""

_MARK = "responses:"


def marked(sealed: str) -> str:
    """Encrypted content as the neutral form carries it. Marked content stays as it is."""
    return sealed if sealed.startswith(_MARK) else _MARK + sealed


def unmarked(sealed: str | None) -> str | None:
    """The content to send back; None when there is none, or when another provider made it."""
    return sealed.removeprefix(_MARK) if sealed is not None and sealed.startswith(_MARK) else None

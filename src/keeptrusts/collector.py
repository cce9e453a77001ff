"""Python's garbage collector in a server: what lives when it begins to serve lives to the end."""

import gc


def calm_collector() -> None:
    """Called once, before serving. Requests make few cycles: garbage is looked for seldom, and not among the living."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)

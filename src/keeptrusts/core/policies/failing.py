"""What becomes of calls that can't be judged, where their policy does not say."""

FAIL_MODE_ENV = "KEEPTRUSTS_FAIL_MODE"
"""``block`` or ``allow``."""

FAIL_MODE = "block"
"""Where nobody says."""

"""Where the scripts of the documents that this product was built after are found, when they are at hand."""

import os
from pathlib import Path

import pytest

from tests.journeys.processes import ROOT

_PLACES = (os.environ.get("KEEPTRUSTS_MISSION_SCRIPTS"), str(ROOT.parent / "shared" / "mission" / "scripts"))
SCRIPTS = next((Path(place) for place in _PLACES if place and (Path(place) / "003-tutorial.sh").exists()), None)

needs_scripts = pytest.mark.skipif(
    SCRIPTS is None, reason="the documents' scripts are not here: name their folder in KEEPTRUSTS_MISSION_SCRIPTS"
)


def script(name: str) -> Path:
    assert SCRIPTS is not None
    return SCRIPTS / name

"""The configuration of managed gateways: each lays where its API is over it, so that the configuration need not say it."""

import json

from msgspec.structs import replace

from keeptrusts.core.rulebook.from_yaml import Compiled, compile_layers
from keeptrusts.core.rulebook.layers import Layer

TOKEN_ENV = "KEEPTRUSTS_API_TOKEN"
SOMEWHERE = "http://localhost:8080"


def own_api(url: str) -> Layer:
    """What a gateway lays over everything else: whatever the configuration says of its API does not count."""
    return Layer("--managed", f"api: {{url: {json.dumps(url)}, token_env: {TOKEN_ENV}}}\n")


def compile_managed(text: str) -> Compiled:
    """Checks and compiles the text as a gateway without files of its own would."""
    laid_over = own_api(SOMEWHERE)
    compiled = compile_layers([Layer("", text), laid_over])
    # What the whole lacks is told at its end, and that is a line that nobody wrote.
    told = tuple(replace(it, file=None, line=1) if it.file == laid_over.name else it for it in compiled.problems)
    return replace(compiled, problems=told)

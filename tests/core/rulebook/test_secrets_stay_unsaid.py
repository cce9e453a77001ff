"""No message repeats what may be a secret, wherever in the file a person put it."""

import pytest

from keeptrusts.core.rulebook.from_yaml import compile_rulebook
from tests.core.rulebook.files import SMALLEST

SECRET = "sk-proj-Sup3rS3cret"

FILES = {
    "literal key of a target": SMALLEST + f"      api_key: {SECRET}\n",
    "in place of the variable": SMALLEST + f"      secret_key_ref: {{env: {SECRET}}}\n",
    "in place of the reference": SMALLEST + f"      secret_key_ref: {SECRET}\n",
    "in the address": SMALLEST + f"      base_url: https://user:{SECRET}@host/v1\n",
    "in the query": SMALLEST + f"      base_url: https://host/v1?key={SECRET}\n",
    "in place of the address": SMALLEST + f"      base_url: {SECRET}\n",
    "the same for two groups": SMALLEST
    + f"consumer_groups: [{{name: a, api_key: {SECRET}}}, {{name: b, api_key: {SECRET}}}]\n",
    "a key with a blank": SMALLEST + f"consumer_groups: [{{name: a, api_key: '{SECRET} x'}}]\n",
    "a key in a list": SMALLEST + f"consumer_groups: [{{name: a, api_key: [{SECRET}]}}]\n",
    "a key that begins with a star": SMALLEST + f"consumer_groups: [{{name: a, api_key: *{SECRET}}}]\n",
    "a key that begins with an exclamation mark": SMALLEST + f"consumer_groups: [{{name: a, api_key: !{SECRET} x}}]\n",
    "a key that begins with a mark of a handle": SMALLEST + f"consumer_groups: [{{name: a, api_key: !a!{SECRET} x}}]\n",
    "a key with a colon": SMALLEST + f"consumer_groups:\n  - api_key: {SECRET}: x\n",
    "a key in an open quote": SMALLEST + f"consumer_groups:\n  - api_key: '{SECRET}\n",
    "the token": SMALLEST + f"api: {{url: 'http://a', token_env: {SECRET}-x}}\n",
}


@pytest.mark.parametrize("name", FILES)
def test_a_secret_is_never_repeated(name):
    result = compile_rulebook(FILES[name])
    assert result.problems
    assert SECRET not in str(result.problems)

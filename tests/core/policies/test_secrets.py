"""Keys and passwords are found by the forms that their makers gave them; what merely speaks of them is left alone."""

import pytest

from keeptrusts.core.policies.judge import compile_policies
from keeptrusts.core.policies.scanner import read_whole
from tests.core.policies.written import Written, call_body

DRAWN = "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5bC7d"
JUDGE = compile_policies(
    [Written("redact", {"code_markers": ["Copyright Example Corp", "internal use only"]}, "s", "secrets")]
)
assert JUDGE is not None

FOUND = {
    "private_key": "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----",
    "aws_access_key": "AKIA" + "IOSFODNN7EXAMPLE",
    "aws_secret_key": "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "gcp_api_key": "AIza" + DRAWN[:35],
    "azure_key": "AccountKey=" + DRAWN + DRAWN + "==",
    "github_token": "ghp_" + DRAWN[:36],
    "gitlab_token": "glpat-" + DRAWN[:20],
    "slack_token": "xoxb-" + "123456789012-abcdefABCDEF",
    "stripe_key": "sk_live_" + DRAWN[:24],
    "openai_key": "sk-proj-" + DRAWN,
    "anthropic_key": "sk-ant-api03-" + DRAWN,
    "huggingface_token": "hf_" + "abcdefghijABCDEFGHIJabcdefghijABCD",
    "npm_token": "npm_" + DRAWN[:36],
    "sendgrid_key": "SG." + DRAWN[:22] + "." + DRAWN[:40],
    "gateway_key": "kt_gk_" + DRAWN[:30],
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "connection_string": "postgres://admin:s3cr3t-pw@db.internal",
    "password_assignment": 'password = "Tr0ub4dor&3xyz99"',
    "code_marker": "copyright  example CORP",
}

SPARED = [
    "the AKIA prefix marks access keys",
    "api_key = os.environ['API_KEY']",
    "password: correct horse battery staple",
    "password = 'changeme'",
    "secret: aaaaaaaaaaaaaaaaaaaa",
    "https://example.com:8080/path@2x.png",
    "sk-learn and sk-something short",
    "-----BEGIN PUBLIC KEY-----\nMHcC\n-----END PUBLIC KEY-----",
    "eyJhbGciOiJIUzI1NiJ9 is a header",
    "my ghp_ token went missing",
    "copyright of the example, corporation unknown",
]


@pytest.mark.parametrize(("label", "text"), FOUND.items(), ids=FOUND)
def test_a_secret_is_found_by_its_own_name(label, text):
    told, scanner = read_whole(JUDGE.rule_set, f"here: {text} , and on")
    assert label in {JUDGE.rule_set.ruled[i].rule.label for i in scanner.met}
    assert told == f"here: [{label.upper()}] , and on"
    assert not JUDGE.passes(call_body(f"here: {text} , and on")), "the quick search must not overlook it"


@pytest.mark.parametrize("text", SPARED)
def test_what_speaks_of_secrets_is_left_alone(text):
    assert read_whole(JUDGE.rule_set, text)[1].met == set()


def test_ordinary_code_passes_the_quick_search():
    assert JUDGE.passes(call_body("def main():\n    return [x for x in range(10)]"))

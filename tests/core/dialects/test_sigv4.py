"""Signatures: those of AWS's published test suite, and those that botocore makes of requests to Bedrock."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from keeptrusts.core.dialects.sigv4 import Credentials, Request, sign

EXAMPLE = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
AT = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
HOST = {"Host": "example.amazonaws.com"}
UNRESERVED = "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
FORM = {**HOST, "Content-Type": "application/x-www-form-urlencoded"}
SPACES = {**HOST, "My-Header1": " value1", "My-Header2": ' "a   b   c"'}

PROFILE = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc123def456"

SUITE = {
    "get-vanilla": (
        Request("GET", "/", HOST),
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    "post-vanilla": (
        Request("POST", "/", HOST),
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ),
    "post-x-www-form-urlencoded": (
        Request("POST", "/", FORM, b"Param1=value1"),
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
    "get-vanilla-query-order-key-case": (
        Request("GET", "/", HOST, query="Param2=value2&Param1=value1"),
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    "get-unreserved": (
        Request("GET", UNRESERVED, HOST),
        "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
    ),
    "get-header-value-trim": (
        Request("GET", "/", SPACES),
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
    "get-relative": (
        Request("GET", "/example/..", HOST),
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    "get-slashes": (
        Request("GET", "//example//", HOST),
        "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
    ),
}


@pytest.mark.parametrize("name", SUITE)
def test_signs_as_the_published_suite_does(name: str) -> None:
    request, signature = SUITE[name]
    headers = sign(request, EXAMPLE, "us-east-1", "service", AT)
    names = ";".join(sorted([*(header.lower() for header in request.headers), "x-amz-date"]))
    assert headers == {
        "X-Amz-Date": "20150830T123600Z",
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}",
    }


def test_signs_the_session_token() -> None:
    token = (
        "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwt"
        "hAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVX"
        "AkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
    )
    credentials = Credentials(EXAMPLE.access_key, EXAMPLE.secret_key, token)
    headers = sign(Request("POST", "/", HOST), credentials, "us-east-1", "service", AT)
    assert headers["X-Amz-Security-Token"] == token
    assert headers["Authorization"].endswith(
        "SignedHeaders=host;x-amz-date;x-amz-security-token, "
        "Signature=85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"
    )


def test_signs_the_user_guides_example() -> None:
    headers = {"Host": "iam.amazonaws.com", "Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    request = Request("GET", "/", headers, query="Action=ListUsers&Version=2010-05-08")
    signed = sign(request, EXAMPLE, "us-east-1", "iam", AT)["Authorization"]
    assert signed.endswith("Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7")


@pytest.mark.parametrize(
    ("path", "region", "token", "signature"),
    [
        (
            "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse",
            "us-west-2",
            "IQoJb3JpZ2luX2VjEXAMPLE",
            "1eb51d5654207919778b68a5f277d0860097c49793fec3e146be3d71020e8d03",
        ),
        (
            f"/model/{PROFILE}/converse-stream",
            "us-east-1",
            None,
            "e0a7d5256f8d574c5c849399c2519d6ed9992f12065d184617d82bd262063904",
        ),
    ],
)
def test_signs_encoded_paths_as_botocore_does(path: str, region: str, token: str | None, signature: str) -> None:
    headers = {"Host": f"bedrock-runtime.{region}.amazonaws.com", "Content-Type": "application/json"}
    credentials = Credentials(EXAMPLE.access_key, EXAMPLE.secret_key, token)
    at = datetime(2026, 3, 1, 8, 5, 9, tzinfo=UTC)
    request = Request("POST", path, headers, b'{"messages":[]}')
    assert sign(request, credentials, region, "bedrock", at)["Authorization"].endswith(f"Signature={signature}")


def test_reads_the_time_in_its_zone() -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=-9)))
    request = Request("GET", "/", HOST)
    assert sign(request, EXAMPLE, "us-east-1", "service", elsewhere) == sign(
        request, EXAMPLE, "us-east-1", "service", AT
    )


def test_the_body_is_signed() -> None:
    ours, other = (sign(Request("POST", "/", HOST, body), EXAMPLE, "r", "s", AT) for body in (b"a", b"b"))
    assert ours["Authorization"] != other["Authorization"]


def test_credentials_do_not_show_their_secret() -> None:
    shown = repr(Credentials("AKIDEXAMPLE", "hidden-one", "hidden-two"))
    assert "hidden" not in shown
    assert "AKIDEXAMPLE" in shown

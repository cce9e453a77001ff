"""Policies on calls and answers over real sockets, by the official SDKs, through every text door, whole and streamed: what is
redacted or blocked, and that the books agree with the provider's own bills all the same."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from tests.journeys.books import issue_key
from tests.journeys.policy_files import Policy
from tests.journeys.sdk_doors import ASK, Question
from tests.journeys.world import MODEL_OF, Till, World, tells_no_secret, worldly

pytestmark = pytest.mark.xdist_group("journeys-policed")

MAIL = "bob@example.com"
WAYS = [
    *(("chat", provider) for provider in ("openai", "anthropic")),
    ("completions", "openai"),
    *(("responses", provider) for provider in ("openai", "gemini")),
    *(("messages", provider) for provider in ("anthropic", "openai")),
]
STRAIGHT = [("chat", "openai"), ("completions", "openai"), ("responses", "openai"), ("messages", "anthropic")]


class Guard(http.server.BaseHTTPRequestHandler):
    """A service that judges. It finds fault with the words that the tests agreed on with it."""

    asked: list[dict[str, Any]] = []  # noqa: RUF012 - the server's own

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.asked.append(question)
        texts = " ".join(question["texts"])
        told: dict[str, Any] = {"verdict": "allow"}
        if "wörd3" in texts and question["phase"] == "output":
            redacted = [text.replace("wörd3", "[W]") for text in question["texts"]]
            told = {"verdict": "redact", "label": "word", "texts": redacted}
        if "forbidden" in texts:
            told = {"verdict": "violation", "label": "topic"}
        if "fail please" in texts:
            self.send_response(500)
            self.send_header("content-length", "0")
            self.end_headers()
            return
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def guard() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Guard)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/judge"
    server.shutdown()
    server.server_close()


class Policed(World):
    """The product with policies, and a group for each way of using them."""

    guard = ""

    def start(self) -> None:
        self._policy = self._policed
        super().start()

    def _policed(self, provider_url: str, api_url: str) -> Policy:
        policy = worldly(provider_url, api_url)
        emails = {"entities": ["email"]}
        policy["policies"] = [
            {"name": "mail-in", "type": "pii", "action": "redact", "config": emails},
            {"name": "mail-out", "type": "pii", "action": "redact", "phase": "output", "config": emails},
            {"name": "city", "type": "regex", "action": "redact", "phase": "output",
             "config": {"patterns": ["Zürich"], "marker": "[CITY]"}},
            {"name": "words", "type": "keyword", "action": "redact", "phase": "output",
             "config": {"words": ["wörd3 wörd4"], "marker": "[GONE]"}},
            {"name": "stop", "type": "keyword", "action": "block", "phase": "output", "config": {"words": ["wörd7 wörd8"]}},
            {"name": "shadow", "type": "keyword", "action": "block", "phase": "both", "shadow": True,
             "config": {"words": ["wörd3"]}},
            {"name": "guard", "type": "external", "action": "redact", "phase": "both", "config": {"url": self.guard}},
        ]  # fmt: skip
        policy["consumer_groups"] += [
            {"name": "redacted", "policies": ["mail-in", "mail-out", "city", "words"]},
            {"name": "out", "policies": ["mail-out"]},
            {"name": "stopped", "policies": ["stop"]},
            {"name": "watched", "policies": ["shadow"]},
            {"name": "guarded", "policies": ["guard"]},
        ]
        return policy


@pytest.fixture(scope="module")
def policed(tmp_path_factory: pytest.TempPathFactory, guard: str) -> Iterator[Policed]:
    world = Policed(Path(tmp_path_factory.mktemp("policed")))
    world.guard = guard
    try:
        world.start()
        yield world
        tells_no_secret(*(path.read_text(errors="replace") for path in world.directory.glob("*.log")))
    finally:
        world.close()


def till_of(world: Policed, team: str, group: str) -> Till:
    till = Till(world, team)
    till.key = issue_key(world, team, consumer_group=group)
    return till


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("door", "provider"), WAYS)
def test_words_are_redacted_both_ways(policed: Policed, team: str, door: str, provider: str, stream: bool) -> None:
    till = till_of(policed, team, "redacted")
    said = ASK[door](till, MODEL_OF[provider], Question(f"I am {MAIL}, who are you? [[out=7]]", stream=stream))
    assert said.text == "wörd0 wörd1 wörd2 [GONE] wörd5 wörd6 "
    [(event, billed)] = till.balanced()
    assert event["policy_actions"] == ["pii_redacted:email", "keyword_redacted:words"]
    assert billed is not None
    assert billed.output == 7


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("door", "provider"), [way for way in WAYS if way[0] != "completions"])
def test_what_tools_get_and_say_is_redacted(
    policed: Policed, team: str, door: str, provider: str, stream: bool
) -> None:
    till = till_of(policed, team, "redacted")
    first = ASK[door](till, MODEL_OF[provider], Question("Look. [[call=2]]", tools=("get_weather",), stream=stream))
    assert [arguments for _, _, arguments in first.calls] == [
        {"city": "[CITY] 0", "number": 0}, {"city": "[CITY] 1", "number": 1},
    ]  # fmt: skip
    again = Question("Look.", tools=("get_weather",), earlier=first, results=(f"ask {MAIL}", "sunny"), stream=stream)
    second = ASK[door](till, MODEL_OF[provider], again)
    assert "ask [EMAIL]" in second.text
    events = [event for event, _ in till.balanced()]
    assert [event["policy_actions"] for event in events] == [["regex_redacted:city"], ["pii_redacted:email"]]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_answer_is_redacted_though_the_call_was_not(policed: Policed, team: str, stream: bool) -> None:
    till = till_of(policed, team, "out")
    first = ASK["chat"](till, MODEL_OF["openai"], Question("Look. [[call=1]]", tools=("get_weather",)))
    again = Question("Look.", tools=("get_weather",), earlier=first, results=(MAIL,), stream=stream)
    assert ASK["chat"](till, MODEL_OF["openai"], again).text == "The tools said: get_weather=[EMAIL] "
    till.balanced()


@pytest.mark.parametrize(("door", "provider"), STRAIGHT)
def test_a_blocked_answer_raises_once_and_is_paid(policed: Policed, team: str, door: str, provider: str) -> None:
    till = till_of(policed, team, "stopped")
    sdk: Any = anthropic if door == "messages" else openai
    with pytest.raises(sdk.APIStatusError) as refused:
        ASK[door](till, MODEL_OF[provider], Question("Hello", limit=400))
    assert refused.value.status_code == 409
    assert refused.value.response.headers["x-should-retry"] == "false"
    [(event, billed)] = till.balanced()
    assert billed is not None
    assert (event["status"], event["reason"]) == ("blocked", "policy_violation")


@pytest.mark.parametrize(("door", "provider"), WAYS)
def test_a_stream_is_stopped_in_its_middle_and_paid(policed: Policed, team: str, door: str, provider: str) -> None:
    till = till_of(policed, team, "stopped")
    sdk: Any = anthropic if door == "messages" else openai
    with pytest.raises(sdk.APIError) as stopped:
        ASK[door](till, MODEL_OF[provider], Question("Hello", limit=400, stream=True))
    assert "stop" in str(stopped.value)
    assert "wörd8" not in str(stopped.value)
    [(event, billed)] = till.balanced()
    assert billed is not None
    assert (event["status"], event["policy_actions"]) == ("blocked", ["keyword_blocked:stop"])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("door", ASK)
def test_a_shadow_is_seen_in_the_ledger_alone(policed: Policed, team: str, door: str, stream: bool) -> None:
    till = till_of(policed, team, "watched")
    said = ASK[door](till, MODEL_OF["openai"], Question("Hello [[out=5]]", stream=stream))
    assert said.text == "wörd0 wörd1 wörd2 wörd3 wörd4 "
    [(event, _)] = till.balanced()
    assert event["policy_actions"] == ["keyword_blocked_shadow:shadow"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("door", ASK)
def test_a_service_judges_and_redacts(policed: Policed, team: str, door: str, stream: bool) -> None:
    till = till_of(policed, team, "guarded")
    said = ASK[door](till, MODEL_OF["openai"], Question("Hello [[out=5]]", stream=stream))
    assert said.text == "wörd0 wörd1 wörd2 [W] wörd4 "
    [(event, _)] = till.balanced()
    assert event["policy_actions"] == ["external_redacted:word"]
    asked = [question for question in Guard.asked if question["request_id"] == event["request_id"]]
    assert [(q["phase"], q["policy"], q["consumer_group"], q["door"]) for q in asked] == [
        ("input", "guard", "guarded", door), ("output", "guard", "guarded", door),
    ]  # fmt: skip


def test_a_service_stops_a_call_and_one_that_fails_does_too(policed: Policed, team: str) -> None:
    till = till_of(policed, team, "guarded")
    for prompt, status, action in (
        ("forbidden", 409, "external_redacted:topic"),
        ("fail please", 503, "policy_failed:guard"),
    ):
        with pytest.raises(openai.APIStatusError) as refused:
            ASK["chat"](till, MODEL_OF["openai"], Question(prompt))
        assert refused.value.status_code == status
        event, billed = till.rows()[-1]
        assert (billed, event["policy_actions"]) == (None, [action])

"""The client that speaks to providers: an answer belongs to its own request, whole or failed, and what was not sent is known
not to have been."""

import asyncio
from collections.abc import Iterator

import pytest

from keeptrusts.core.routing.rules import Routing
from keeptrusts.core.routing.target import Target
from keeptrusts.gateway import upstream
from keeptrusts.gateway.exchange import MAX_WHOLE_BYTES, PAUSE_READING_BYTES, Exchange, UpstreamFailed
from keeptrusts.gateway.journal import JournalFailed
from keeptrusts.gateway.sign_in import with_key
from keeptrusts.gateway.target_state import TargetState
from keeptrusts.gateway.targets import HttpTarget
from keeptrusts.gateway.upstream import IDLE_CLOSE_S, Origin
from tests.gateway.hand_loop import HandLoop
from tests.gateway.wires import Exchangeboard, Wire

LENGTH = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
UNTIL_END = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nhello"
CLOSING = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello"
ERROR = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\ncontent-length: 4\r\n\r\nslow"


@pytest.fixture
def loop() -> Iterator[HandLoop]:
    loop = HandLoop()
    yield loop
    loop.close()
    assert loop.broken == []


@pytest.fixture
def board(loop: HandLoop) -> Exchangeboard:
    return Exchangeboard(loop)


@pytest.fixture
def origin(loop: HandLoop, board: Exchangeboard) -> Iterator[Origin]:
    origin = Origin("http://provider/v1", connect_timeout_s=3.0, first_byte_timeout_s=10.0, idle_timeout_s=4.0)
    yield origin
    origin.close()
    loop.turn()


class Asked:
    """A request on its way: whole or streamed, and everything that came of it.

    A stream is poured too: every other piece is taken as it arrives, and the rest is read.
    """

    def __init__(self, loop: HandLoop, origin: Origin, whole: bool = True) -> None:
        self.loop = loop
        self.exchange = Exchange((b"POST /v1 HTTP/1.1\r\n\r\n", b"{}"), whole)
        self.task = loop.do(self._whole(origin) if whole else self._stream(origin))

    async def _whole(self, origin: Origin) -> bytes:
        (await origin.connection()).start(self.exchange)
        return await self.exchange.whole()

    async def _stream(self, origin: Origin) -> bytes:
        (await origin.connection()).start(self.exchange)
        await self.exchange.head()
        body = bytearray()
        takes = False

        def outlet(data: bytes) -> bool:
            nonlocal takes
            takes = not takes
            if takes:
                body.extend(data)
            return takes

        while data := await self.exchange.read():
            body.extend(data)
            self.exchange.pour(outlet)
        return bytes(body)

    @property
    def answer(self) -> tuple[int, bytes]:
        assert self.task.done(), "still waiting"
        return self.exchange.status, self.task.result()

    @property
    def failure(self) -> UpstreamFailed:
        assert self.task.done(), "still waiting"
        failure = self.task.exception()
        assert isinstance(failure, UpstreamFailed)
        return failure


# Answers


def test_what_is_poured_arrives_without_a_turn_and_a_full_outlet_leaves_the_rest_to_be_read(
    loop: HandLoop, board: Exchangeboard, origin: Origin
) -> None:
    exchange = Exchange((b"POST /v1 HTTP/1.1\r\n\r\n", b"{}"), False)
    loop.done(start(origin, exchange))
    poured: list[bytes] = []
    full = False

    def outlet(data: bytes) -> bool:
        if not full:
            poured.append(data)
        return not full

    board.wires[0].says(CHUNKED[: CHUNKED.index(b"3\r\n")])
    exchange.pour(outlet)
    board.wires[0].says(b"3\r\nhel\r\n")
    assert poured == [b"hel"]
    full = True
    board.wires[0].says(b"2\r\nlo\r\n")
    full = False
    board.wires[0].says(b"1\r\n!\r\n0\r\n\r\n")
    assert poured == [b"hel"], "no piece overtakes another"
    assert loop.done(exchange.read()) == b"lo!"
    assert loop.done(exchange.read()) == b""


def test_what_an_outlet_raises_ends_the_exchange_and_its_connection(
    loop: HandLoop, board: Exchangeboard, origin: Origin
) -> None:
    exchange = Exchange((b"POST /v1 HTTP/1.1\r\n\r\n", b"{}"), False)
    loop.done(start(origin, exchange))

    def outlet(data: bytes) -> bool:
        raise UpstreamFailed(f"it said {data!r}", sent=True)

    board.wires[0].says(CHUNKED[: CHUNKED.index(b"3\r\n")])
    exchange.pour(outlet)
    board.wires[0].says(CHUNKED[CHUNKED.index(b"3\r\n") :])
    with pytest.raises(UpstreamFailed, match="it said b'hello'"):
        loop.done(exchange.read())
    assert board.wires[0].is_closing()
    assert origin.idle_connection() is None


async def start(origin: Origin, exchange: Exchange) -> None:
    (await origin.connection()).start(exchange)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("answer", [LENGTH, CHUNKED, CLOSING])
def test_an_answer_that_comes_in_any_two_pieces_is_the_answer(
    loop: HandLoop, board: Exchangeboard, origin: Origin, answer: bytes, whole: bool
) -> None:
    for cut in range(len(answer)):
        asked = Asked(loop, origin, whole)
        wire = board.wires[-1]
        wire.says(answer[:cut]) if cut else None
        assert not asked.task.done()
        wire.says(answer[cut:])
        assert asked.answer == (200, b"hello")
    assert len(board.wires) == (len(answer) if answer is CLOSING else 1), "a good connection is used again"


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("answer", [LENGTH, CHUNKED])
@pytest.mark.parametrize("reset", [True, False])
def test_an_answer_that_breaks_at_any_byte_has_failed_and_was_sent(
    loop: HandLoop, board: Exchangeboard, origin: Origin, answer: bytes, whole: bool, reset: bool
) -> None:
    for cut in range(len(answer)):
        asked = Asked(loop, origin, whole)
        wire = board.wires[-1]
        wire.says(answer[:cut]) if cut else None
        wire.resets() if reset else wire.closes()
        assert asked.failure.sent
        assert len(board.wires) == cut + 1


@pytest.mark.parametrize("whole", [True, False])
def test_an_answer_without_a_length_ends_with_its_connection(
    loop: HandLoop, board: Exchangeboard, origin: Origin, whole: bool
) -> None:
    asked = Asked(loop, origin, whole)
    board.wires[0].says(UNTIL_END)
    assert not asked.task.done()
    board.wires[0].closes()
    assert asked.answer == (200, b"hello")
    broken = Asked(loop, origin, whole)
    board.wires[1].says(UNTIL_END)
    board.wires[1].resets()
    assert broken.failure.sent, "a reset is no end"


@pytest.mark.parametrize("whole", [True, False])
def test_interim_answers_are_passed_over(loop: HandLoop, board: Exchangeboard, origin: Origin, whole: bool) -> None:
    asked = Asked(loop, origin, whole)
    board.wires[0].says(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n")
    assert not asked.task.done()
    board.wires[0].says(LENGTH)
    assert asked.answer == (200, b"hello")
    again = Asked(loop, origin, whole)
    board.wires[0].says(b"HTTP/1.1 100 Continue\r\n\r\n" + LENGTH)
    assert again.answer == (200, b"hello")
    assert len(board.wires) == 1


@pytest.mark.parametrize("head_ends", [False, True], ids=["the head", "the trailers"])
@pytest.mark.parametrize("line", [b"y" * 60_000, b"x: y\r\n" * 10_000], ids=["one line", "many lines"])
def test_what_surrounds_an_answer_is_bounded(
    loop: HandLoop, board: Exchangeboard, origin: Origin, head_ends: bool, line: bytes
) -> None:
    """A line without end takes more time the longer it is: the loop is everybody's."""
    asked = Asked(loop, origin)
    chunks = b"transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n" if head_ends else b""
    board.wires[0].says(b"HTTP/1.1 200 OK\r\n" + chunks + b"x: ")
    for _ in range(10):
        if not board.wires[0].is_closing():
            board.wires[0].says(line)
    assert "is larger than" in str(asked.failure)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nabc",
    ],
)
def test_what_is_not_an_answer_fails_and_its_connection_is_dropped(
    loop: HandLoop, board: Exchangeboard, origin: Origin, nonsense: bytes
) -> None:
    asked = Asked(loop, origin)
    board.wires[0].says(nonsense)
    loop.turn()
    if not asked.task.done():
        board.wires[0].closes()
    assert asked.failure.sent
    assert board.wires[0].is_closing()


@pytest.mark.parametrize(
    "answer",
    [
        LENGTH.replace(b"content-length: 5", b"content-length: 5\r\ncontent-length: 7"),
        LENGTH.replace(b"content-length: 5", b"content-length: 5\r\ntransfer-encoding: chunked"),
        LENGTH.replace(b"content-length: 5", b"Content-Length:5\r\nX-A: content-length: 9"),
        LENGTH.replace(b"content-length: 5", b"content-length:7\r\ncontent-length: 5"),
        LENGTH.replace(b"content-length: 5", b"content-length: 99"),
        LENGTH.replace(b"content-length: 5", b"content-length: 2"),
    ],
)
def test_the_short_way_and_the_parser_agree(
    loop: HandLoop, board: Exchangeboard, origin: Origin, answer: bytes
) -> None:
    """An answer with two lengths, or a wrong one, ends alike whether it came in one piece or byte by byte."""
    ends = []
    for pieces in ([answer], [answer[:1], answer[1:]]):
        asked = Asked(loop, origin)
        wire = board.wires[-1]
        for piece in pieces:
            if not wire.is_closing():
                wire.says(piece)
        wire.resets()
        ends.append((asked.task.exception() is None, None if asked.task.exception() else asked.answer))
    assert ends[0] == ends[1]


def test_an_error_keeps_its_headers(loop: HandLoop, board: Exchangeboard, origin: Origin) -> None:
    asked = Asked(loop, origin)
    board.wires[0].says(ERROR)
    assert asked.answer == (429, b"slow")
    assert asked.exchange.headers[b"retry-after"] == b"7"
    Asked(loop, origin)
    assert len(board.wires) == 1


# Connections


@pytest.mark.parametrize("extra", [LENGTH, b"HTTP/1.1 200 OK\r\ncontent-le", b"\x00junk"])
@pytest.mark.parametrize("late", [True, False])
def test_bytes_beyond_the_answer_never_reach_the_next_caller(
    loop: HandLoop, board: Exchangeboard, origin: Origin, extra: bytes, late: bool
) -> None:
    """A provider, or whoever sits in between, must not be able to answer a request that was not made yet."""
    asked = Asked(loop, origin)
    if late:
        board.wires[0].says(LENGTH)
        board.wires[0].protocol.data_received(extra)  # and before the loop turns:
    else:
        board.wires[0].says(LENGTH + extra)
    following = Asked(loop, origin)
    assert asked.answer == (200, b"hello")
    assert len(board.wires) == 2
    board.wires[1].says(LENGTH.replace(b"hello", b"other"))
    assert following.answer == (200, b"other")


def test_a_connection_that_its_server_closed_is_not_used_again(
    loop: HandLoop, board: Exchangeboard, origin: Origin
) -> None:
    Asked(loop, origin)
    board.wires[0].says(LENGTH)
    board.wires[0].closes()
    following = Asked(loop, origin)
    board.wires[1].says(LENGTH)
    assert following.answer == (200, b"hello")


def test_a_connection_that_is_lost_between_choice_and_sending_costs_nothing(
    loop: HandLoop, board: Exchangeboard, origin: Origin
) -> None:
    """Nothing was sent, so another connection takes the request."""
    Asked(loop, origin)
    board.wires[0].says(LENGTH)
    chosen = origin.idle_connection()
    assert chosen is not None
    board.wires[0].closes()
    exchange = Exchange((b"POST", b""), whole=True)

    async def start() -> bytes:
        chosen.start(exchange)
        return await exchange.whole()

    task = loop.do(start())
    board.wires[1].says(LENGTH)
    assert task.result() == b"hello"


def test_a_reused_connection_that_closes_without_a_word_has_been_sent_to(
    loop: HandLoop, board: Exchangeboard, origin: Origin
) -> None:
    """Nobody can know whether the provider read the request before it closed."""
    Asked(loop, origin)
    board.wires[0].says(LENGTH)
    following = Asked(loop, origin)
    board.wires[0].closes()
    assert following.failure.sent


def test_connections_that_nobody_uses_are_closed(loop: HandLoop, board: Exchangeboard, origin: Origin) -> None:
    Asked(loop, origin)
    board.wires[0].says(LENGTH)
    loop.advance(IDLE_CLOSE_S - 1.0)
    assert not board.wires[0].is_closing()
    loop.advance(2.0)
    assert board.wires[0].is_closing()


@pytest.mark.parametrize(
    "error", [ConnectionRefusedError(111, "Connection refused"), OSError("odd"), UnicodeError("label too long")]
)
def test_without_a_connection_nothing_was_sent(
    loop: HandLoop, board: Exchangeboard, origin: Origin, error: Exception
) -> None:
    board.refuses = error
    asked = Asked(loop, origin)
    assert not asked.failure.sent
    assert origin._open == 0


def test_a_connection_that_does_not_come_is_given_up(loop: HandLoop, board: Exchangeboard, origin: Origin) -> None:
    board.silent = True
    asked = Asked(loop, origin)
    loop.advance(3.1)
    assert not asked.failure.sent
    assert asked.failure.timed_out
    assert origin._open == 0


def test_connections_are_bounded_and_the_next_free_one_is_handed_on(
    loop: HandLoop, board: Exchangeboard, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "MAX_CONNECTIONS", 2)
    first, second, third, fourth = (Asked(loop, origin) for _ in range(4))
    assert len(board.wires) == 2
    board.wires[0].says(LENGTH)
    board.wires[0].says(LENGTH)
    board.wires[1].resets()
    assert first.answer == third.answer == (200, b"hello")
    assert second.failure.sent
    board.wires[0].says(LENGTH)
    assert fourth.answer == (200, b"hello")
    assert origin._open <= 2


def test_who_waits_for_a_connection_waits_no_longer_than_for_making_one(
    loop: HandLoop, board: Exchangeboard, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "MAX_CONNECTIONS", 1)
    Asked(loop, origin)
    waiting = Asked(loop, origin)
    loop.advance(3.1)
    assert not waiting.failure.sent
    assert waiting.failure.timed_out


def test_a_turn_that_its_caller_does_not_take_goes_to_the_next(
    loop: HandLoop, board: Exchangeboard, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "MAX_CONNECTIONS", 1)
    Asked(loop, origin)
    gone, stays = Asked(loop, origin), Asked(loop, origin)

    async def free_and_cancel() -> None:
        board.wires[0].protocol.data_received(LENGTH)
        gone.task.cancel()

    loop.do(free_and_cancel())
    board.wires[0].says(LENGTH)
    assert stays.answer == (200, b"hello")


# Time


@pytest.mark.parametrize("whole", [True, False])
def test_a_provider_that_says_nothing_is_given_up(
    loop: HandLoop, board: Exchangeboard, origin: Origin, whole: bool
) -> None:
    asked = Asked(loop, origin, whole)
    loop.advance(9.0)
    assert not asked.task.done()
    loop.advance(2.0)
    assert asked.failure.timed_out
    assert asked.failure.sent
    assert board.wires[0].is_closing()


def test_a_provider_that_stops_in_the_middle_is_given_up(loop: HandLoop, board: Exchangeboard, origin: Origin) -> None:
    asked = Asked(loop, origin, whole=False)
    for byte in CHUNKED[:-8]:
        board.wires[0].says(bytes([byte]))
        loop.advance(3.0)
    assert not asked.task.done(), "a slow one is not"
    loop.advance(5.0)
    assert asked.failure.timed_out


# Much


def body_of(size: int, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n" % (status, size)


def begun(loop: HandLoop, origin: Origin) -> Exchange:
    """A stream whose client does not read yet."""
    exchange = Exchange((b"POST", b""), whole=False)

    async def start() -> None:
        (await origin.connection()).start(exchange)

    loop.done(start())
    return exchange


def fill(wire: Wire, size: int) -> int:
    sent = 0
    while sent < size and wire.reading:
        piece = min(64 * 1024, size - sent)
        wire.says(b"x" * piece)
        sent += piece
    return sent


def test_a_slow_client_slows_its_provider_and_no_time_runs_meanwhile(
    loop: HandLoop, board: Exchangeboard, origin: Origin
) -> None:
    size = 3 * PAUSE_READING_BYTES
    exchange = begun(loop, origin)
    board.wires[0].says(body_of(size))
    sent = fill(board.wires[0], size)
    assert sent < size, "paused"
    loop.advance(60.0)
    assert len(loop.done(exchange.read())) == sent
    assert board.wires[0].reading
    sent += fill(board.wires[0], size - sent)
    while not exchange.complete:
        assert loop.done(exchange.read())
        sent += fill(board.wires[0], size - sent)
    while loop.done(exchange.read()):
        pass
    assert sent == size


def test_a_long_error_in_place_of_a_stream_is_read_to_its_end(
    loop: HandLoop, board: Exchangeboard, origin: Origin
) -> None:
    """It is read whole, by nobody who would resume a paused connection."""
    size = 3 * PAUSE_READING_BYTES
    exchange = begun(loop, origin)
    board.wires[0].says(body_of(size, b"500 Oops"))
    sent = fill(board.wires[0], size)

    async def whole() -> bytes:
        return await exchange.whole()

    reading = loop.do(whole())
    fill(board.wires[0], size - sent)
    assert len(reading.result()) == size


def test_an_answer_that_is_too_large_is_broken_off(loop: HandLoop, board: Exchangeboard, origin: Origin) -> None:
    asked = Asked(loop, origin)
    board.wires[0].says(body_of(MAX_WHOLE_BYTES + 10))
    piece = b"x" * (8 * 1024 * 1024)
    for _ in range(9):
        if not board.wires[0].is_closing():
            board.wires[0].says(piece)
    assert "larger than" in str(asked.failure)
    assert asked.failure.sent


# Sending


class PaperJournal:
    """What HttpTarget needs of a journal."""

    def __init__(self, failed: bool = False) -> None:
        self.failed = failed

    def then(self, action: object, argument: object, on_failure: object) -> None:
        if self.failed:
            on_failure(JournalFailed("disk full"))  # type: ignore[operator]
        else:
            action(argument)  # type: ignore[operator]


def send(loop: HandLoop, target: HttpTarget, journal: PaperJournal) -> tuple[Exchange, asyncio.Task[bytes]]:
    found: list[Exchange] = []

    async def ask() -> bytes:
        exchange = target.send("/chat/completions", b"", b'{"a":1}', b"req_1", True, journal)  # type: ignore[arg-type]
        assert isinstance(exchange, Exchange)
        found.append(exchange)
        return await exchange.whole()

    task = loop.do(ask())
    return found[0], task


@pytest.fixture
def target(loop: HandLoop, board: Exchangeboard) -> Iterator[HttpTarget]:
    target = HttpTarget(
        Target("t", "openai", connect_timeout_s=3.0),
        "http://provider/v1",
        with_key("openai", "sk-secret"),
        TargetState("t", Routing()),
    )
    yield target
    target.close()
    loop.turn()


def test_a_request_says_who_asks_what(loop: HandLoop, board: Exchangeboard, target: HttpTarget) -> None:
    _, task = send(loop, target, PaperJournal())
    head, _, body = board.wires[0].written.partition(b"\r\n\r\n")
    assert head.startswith(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: provider\r\nauthorization: Bearer sk-secret\r\n"
    )
    assert b"\r\nx-request-id: req_1\r\ncontent-length: 7" in head
    assert body == b'{"a":1}'
    board.wires[0].says(LENGTH)
    assert task.result() == b"hello"


def test_what_the_journal_could_not_take_is_not_sent(loop: HandLoop, board: Exchangeboard, target: HttpTarget) -> None:
    _, task = send(loop, target, PaperJournal(failed=True))
    assert isinstance(task.exception(), JournalFailed)
    assert all(wire.written == b"" for wire in board.wires)


def test_a_call_that_is_given_up_before_its_connection_is_made_is_never_sent(
    loop: HandLoop, board: Exchangeboard, target: HttpTarget
) -> None:
    """Its row says that it cost nothing."""
    board.silent = True
    exchange, task = send(loop, target, PaperJournal())
    exchange.abandon()
    loop.turn()
    assert isinstance(task.exception(), UpstreamFailed)
    assert not exchange.sent
    board.silent = False
    connection = loop.done(target._origin.connection())

    async def start() -> None:
        connection.start(exchange)

    loop.done(start())
    assert board.wires[0].written == b""
    _, following = send(loop, target, PaperJournal())
    board.wires[0].says(LENGTH)
    assert following.result() == b"hello"


def test_no_failure_speaks_of_the_secret(loop: HandLoop, board: Exchangeboard, target: HttpTarget) -> None:
    for trouble in (b"sk-secret nonsense\r\n", b"HTTP/1.1 200 OK\r\nsk-secret\r\n\r\n"):
        _, task = send(loop, target, PaperJournal())
        board.wires[-1].says(trouble)
        assert "sk-secret" not in str(task.exception())


@pytest.mark.parametrize("more", ["", "connection: keep-alive\r\n"], ids=["short way", "parser"])
@pytest.mark.parametrize(("name", "told"), [("X-Request-Id", b"req_Abc-1"), ("x-other", b"")])
def test_what_the_provider_calls_the_request_is_kept_whichever_way_it_is_read(
    loop: HandLoop, board: Exchangeboard, more: str, name: str, told: bytes
) -> None:
    origin = Origin("http://provider/v1", id_header=b"x-request-id")
    asked = Asked(loop, origin)
    board.wires[-1].says(f"HTTP/1.1 200 OK\r\n{name}: req_Abc-1\r\n{more}content-length: 2\r\n\r\n{{}}".encode())
    assert asked.task.result() == b"{}"
    assert asked.exchange.given_id == told
    origin.close()
    loop.turn()

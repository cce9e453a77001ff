"""What comes by uvicorn's parser: the requests that the short way does not take, within bounds and without what is ambiguous.

A request to change the protocol is an ordinary request here (RFC 9110, 7.8: whoever can't change it ignores that). Java's
client sends one with its first call.
"""

import contextlib
import re
from secrets import token_hex
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.gateway.refusals import error_body, error_lines

MAX_PARSED_HEAD_BYTES = 64 * 1024
"""Of a head, and of what surrounds a chunk of a body: extensions, trailers."""

HOST = re.compile(rb"[0-9A-Za-z._~%!$&'()*+,;=:\[\]-]*")
"""What a Host may hold (RFC 3986, 3.2.2)."""

_OF_UPGRADES = frozenset({b"upgrade", b"http2-settings", b"connection"})

NO_HTTP = "This is not a valid HTTP request."


class ParsedWay(HttpToolsProtocol):
    """One connection, as far as the parser reads it."""

    _leaving = False
    _reading_head = False
    _changes_protocol = False
    _silent_bytes = 0
    _complaint: str | None = None

    def new_request_id(self) -> bytes:
        """An id for the answer to what could not be read as a request."""
        raise NotImplementedError

    def busy(self) -> bool:
        """Whether a request is under way."""
        under_way: Any = self.cycle
        return under_way is not None and not under_way.response_complete

    def parse(self, data: bytes) -> None:
        """Bytes for the parser."""
        while data:
            self._silent_bytes += len(data)
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = self._without_upgrade() + data[upgrade.args[0] :]
                continue
            except httptools.HttpParserError:
                self._refuse(b"400 Bad Request", self._complaint or NO_HTTP)
            else:
                if self._silent_bytes > MAX_PARSED_HEAD_BYTES and not self.transport.is_closing():
                    message = f"The request's head, or what surrounds its body, is over {MAX_PARSED_HEAD_BYTES} bytes."
                    self._refuse(b"431 Request Header Fields Too Large", message)
            return

    def _without_upgrade(self) -> bytes:
        """The head that has just been read, to be read by a new parser as that of an ordinary request."""
        lines = [b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name not in _OF_UPGRADES:
                lines.append(b"%b: %b\r\n" % (name, value))
            elif name == b"connection" and b"close" in value.lower():
                lines.append(b"connection: close\r\n")
        self.parser = httptools.HttpRequestParser(self)
        with contextlib.suppress(AttributeError):
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return b"".join([*lines, b"\r\n"])

    def on_message_begin(self) -> None:
        """The parser sees a request."""
        self._silent_bytes = 0
        self._reading_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """The parser has read a header. What stands behind a chunked body looks like one to it, and is none: no proxy in front
        has seen it as such, so that it could say what only the proxy may."""
        if self._reading_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The request's head is whole."""
        self._reading_head = False
        self._complaint = self._wrong_with_head()
        if self._complaint is not None:
            raise ValueError(self._complaint)
        self._changes_protocol = self.parser.should_upgrade()
        if self._changes_protocol:
            return
        super().on_headers_complete()
        if self._leaving:
            self.cycle.keep_alive = False

    def _wrong_with_head(self) -> str | None:
        """What no proxy in front may see otherwise than we do."""
        version = self.parser.get_http_version()
        if version not in ("1.1", "1.0"):
            return "This server speaks HTTP/1.1."
        if self.parser.get_method() == b"CONNECT":
            return "This is no proxy."
        hosts = [value for name, value in self.headers if name == b"host"]
        if len(hosts) > 1 or (version == "1.1" and not hosts) or any(HOST.fullmatch(host) is None for host in hosts):
            return "The request needs one valid Host header."
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        if codings and (codings != [b"chunked"] or version == "1.0"):
            return "The only transfer encoding that is read here is `chunked`."
        return None

    def on_body(self, body: bytes) -> None:
        """Some of a body."""
        self._silent_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if not self._changes_protocol:
            super().on_message_complete()

    def pause_writing(self) -> None:
        """The client does not take its answers: nothing more is read of it, lest they heap up here."""
        super().pause_writing()
        self.flow.pause_reading()

    def resume_writing(self) -> None:
        """The client has taken its answers."""
        super().resume_writing()
        if not self.pipeline and not self.transport.is_closing():
            self.flow.resume_reading()

    def on_response_complete(self) -> None:
        """An answer is complete: the next request may follow. Nothing is read while some wait that are here already.

        uvicorn starts a timer here for each request, and cancels it at the next.
        """
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif not self.flow.write_paused:
            self.flow.resume_reading()

    def _refuse(self, status: bytes, message: str) -> None:
        """Ends the connection, with an answer unless the client would take it for that of an earlier request."""
        under_way: Any = self.cycle
        if self.busy() and (self.pipeline or under_way.response_started):
            self.transport.abort()
            return
        refused = Refused(Reason.INVALID_REQUEST, message)
        body = error_body(refused)
        self.transport.write(
            b"HTTP/1.1 %b\r\n%bx-request-id: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (status, error_lines(refused), self.new_request_id(), len(body), body)
        )
        self.transport.close()


class ParsedConnection(ParsedWay):
    """One connection to a server without a short way: the API's, the admin listener's."""

    def data_received(self, data: bytes) -> None:
        """Bytes of one or more requests."""
        self._unset_keepalive_if_required()
        self.parse(data)

    def new_request_id(self) -> bytes:
        """See ParsedWay."""
        return b"req_" + token_hex(12).encode()

    def on_response_complete(self) -> None:
        """An answer is complete; whoever asks nothing more for a while is gone."""
        super().on_response_complete()
        if not self.busy() and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

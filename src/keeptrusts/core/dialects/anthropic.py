"""Anthropic's Messages, both sides: what applications and Claude's tools speak, and what Anthropic speaks."""

from keeptrusts.core.dialects.anthropic_errors import read_error, write_error
from keeptrusts.core.dialects.anthropic_reply import read_reply, write_reply
from keeptrusts.core.dialects.anthropic_request import read_request, write_count, write_request
from keeptrusts.core.dialects.anthropic_stream_reader import StreamReader
from keeptrusts.core.dialects.anthropic_stream_writer import StreamWriter

__all__ = [
    "StreamReader",
    "StreamWriter",
    "read_error",
    "read_reply",
    "read_request",
    "write_count",
    "write_error",
    "write_reply",
    "write_request",
]

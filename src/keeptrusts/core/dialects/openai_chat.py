"""OpenAI's chat completions, both sides: what applications speak, and what OpenAI and its many likes speak."""

from keeptrusts.core.dialects.openai_chat_reply import read_reply, write_reply
from keeptrusts.core.dialects.openai_chat_request import read_request, write_request
from keeptrusts.core.dialects.openai_chat_stream import StreamReader, StreamWriter
from keeptrusts.core.dialects.openai_error import read_error, write_error

__all__ = [
    "StreamReader",
    "StreamWriter",
    "read_error",
    "read_reply",
    "read_request",
    "write_error",
    "write_reply",
    "write_request",
]

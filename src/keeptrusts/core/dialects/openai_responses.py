"""OpenAI's Responses, both sides."""

from keeptrusts.core.dialects.openai_error import read_error, write_error
from keeptrusts.core.dialects.openai_responses_answer import read_reply
from keeptrusts.core.dialects.openai_responses_call import write_request
from keeptrusts.core.dialects.openai_responses_events import StreamReader
from keeptrusts.core.dialects.openai_responses_reply import write_reply
from keeptrusts.core.dialects.openai_responses_request import read_request
from keeptrusts.core.dialects.openai_responses_stream import StreamWriter

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

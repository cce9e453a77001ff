"""Google's Gemini, as a provider."""

from keeptrusts.core.dialects.gemini_reply import read_error, read_reply
from keeptrusts.core.dialects.gemini_request import VENDOR_BASE_URL, path_of, write_request
from keeptrusts.core.dialects.gemini_stream import StreamReader

__all__ = [
    "VENDOR_BASE_URL",
    "StreamReader",
    "path_of",
    "read_error",
    "read_reply",
    "write_request",
]

"""Amazon Bedrock's Converse, as a provider."""

from keeptrusts.core.dialects.bedrock_reply import read_error, read_reply
from keeptrusts.core.dialects.bedrock_request import SERVICE, base_url_of, path_of, write_request
from keeptrusts.core.dialects.bedrock_stream import StreamReader

__all__ = [
    "SERVICE",
    "StreamReader",
    "base_url_of",
    "path_of",
    "read_error",
    "read_reply",
    "write_request",
]

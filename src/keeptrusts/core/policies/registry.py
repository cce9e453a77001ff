"""The kinds of policy that a file may name in ``type``: a new kind is a file beside this one and a line in this table."""

from collections.abc import Mapping

from keeptrusts.core.policies import content_filter
from keeptrusts.core.policies.kind import Kind

KINDS: Mapping[str, Kind] = {
    "content_filter": content_filter.KIND,
}

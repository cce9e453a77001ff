"""All gateways, in the order in which each round takes its turns."""

from bench.peers.direct import DIRECT
from bench.peers.gateway import Gateway
from bench.peers.keeptrusts import CACHE_HIT, KEEPTRUSTS
from bench.peers.keeptrusts import SECURED as KEEPTRUSTS_SECURED
from bench.peers.litellm import LITELLM
from bench.peers.nginx import NGINX, SATURATED
from bench.peers.nginx import SECURED as NGINX_SECURED
from bench.peers.portkey import PORTKEY
from bench.peers.tensorzero import TENSORZERO

# This product first: half of what it can take is the arrival rate of the open-loop rows.
FIELD: tuple[Gateway, ...] = (
    KEEPTRUSTS,
    CACHE_HIT,
    KEEPTRUSTS_SECURED,
    NGINX,
    NGINX_SECURED,
    SATURATED,
    DIRECT,
    TENSORZERO,
    PORTKEY,
    LITELLM,
)
BASELINE = NGINX.name
NOTHING_BETWEEN = DIRECT.name
BUSY_BASELINE = SATURATED.name  # where it was measured, ratios are taken against it
OURS = KEEPTRUSTS.name

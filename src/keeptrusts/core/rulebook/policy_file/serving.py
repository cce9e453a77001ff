"""``api``, ``attribution`` and ``gateway``: how the gateway itself serves."""

from typing import Literal

from pydantic import Field

from keeptrusts.core.rulebook.policy_file.entry import Entry
from keeptrusts.core.rulebook.policy_file.identity import Networks
from keeptrusts.core.rulebook.policy_file.values import EnvironmentName, WebAddress
from keeptrusts.core.rulebook.policy_file.watching import Admin


class Api(Entry):
    """Where the control plane answers. Without it the gateway runs alone, without wallets."""

    url: WebAddress = Field(examples=["http://localhost:8080"])
    token_env: EnvironmentName = Field(
        default="KEEPTRUSTS_API_TOKEN",
        description="The variable that holds the token.",
        examples=["KEEPTRUSTS_API_TOKEN"],
    )


class RequiredAttribution(Entry):
    """The dimensions without which no call is served."""

    required: list[
        Literal[
            "team",
            "application",
            "feature",
            "environment",
            "project",
            "customer",
            "department",
            "user",
            "cost_center",
        ]
    ] = Field(default=["team"], examples=["[team, application]"])


class Gateway(Entry):
    """Bounds of the gateway itself."""

    reserve_wait_ms: int = Field(
        default=2_000,
        ge=0,
        le=60_000,
        description="How long a call waits for money that is on its way.",
        examples=[2000],
    )
    hold_wait_s: int = Field(
        default=60,
        ge=1,
        le=3_600,
        description="How long a call is held for an approver, where a budget or a policy escalates.",
        examples=[60],
    )
    max_held_calls: int = Field(
        default=100, ge=0, le=10_000, description="How many calls are held at once; more are refused.", examples=[100]
    )
    max_body_bytes: int = Field(default=16 * 1024 * 1024, ge=1_024, le=1024**3, examples=[16777216])
    max_file_bytes: int = Field(
        default=32 * 1024 * 1024,
        ge=1_024,
        le=1024**3,
        description="How large a form with files may be (pictures, sound). It is read whole before it goes on.",
        examples=[33554432],
    )
    default_output_tokens: int = Field(
        default=1_000, ge=1, le=10_000_000, description="Taken for a call that asks for no max_tokens.", examples=[1000]
    )
    trusted_proxies: Networks = Field(
        default=[],
        description="Load balancers whose X-Forwarded-For is believed; without them the connection's other end is the caller.",
        examples=["[10.0.0.0/8]"],
    )
    max_stale_s: int = Field(
        default=300,
        ge=3,
        le=86_400,
        description="How old the control plane's rules may be, of which a gateway hears once a second.",
        examples=[300],
    )
    durability: Literal["process", "power"] = Field(
        default="process", description="What the journal outlives: the process, or a power cut too."
    )
    max_journal_bytes: int = Field(
        default=1024**3,
        ge=1024**2,
        le=1024**5,
        description="How much of the journal may wait for the API before no more calls are taken.",
        examples=[1073741824],
    )
    journal_retention_s: int = Field(
        default=900,
        ge=60,
        le=31_536_000,
        description="How long the journal is kept after the API has it. Longer than the age of the oldest backup that may have to be restored.",
        examples=[86400],
    )
    admin: Admin = Field(default=Admin(), examples=["{listen: '127.0.0.1:41003'}"])

"""A running gateway takes what it can, and says what has to wait."""

import pytest
from msgspec.structs import replace

from keeptrusts.core.routing.target import Target
from keeptrusts.core.rulebook.changing import NeedsRestart, takeover
from keeptrusts.core.rulebook.rulebook import ApiLink, Rulebook

ALONE = Rulebook(targets=(Target("a", "simulated"),))
LINKED = replace(ALONE, api=ApiLink("http://api", "TOKEN"))


def test_what_can_change_changes_at_once():
    wanted = replace(ALONE, max_body_bytes=2_000)
    assert takeover(ALONE, wanted).rulebook == wanted


def test_what_the_journal_and_the_link_are_made_with_stays_and_is_named():
    wanted = replace(LINKED, api=ApiLink("http://other", "TOKEN"), durability="power", hold_wait_s=5)
    taken = takeover(LINKED, wanted)
    assert taken.waiting == ("api", "gateway.durability")
    assert taken.rulebook == replace(LINKED, hold_wait_s=5)


def test_wallets_cannot_begin_without_a_control_plane():
    with pytest.raises(NeedsRestart, match="started without `api`"):
        takeover(ALONE, replace(LINKED, wallet_enforcement=True))

"""`kt ledger`: the books themselves. Each verb has a file of its own, ``cli/ledger_<verb>.py``."""

import typer

from keeptrusts.cli import ledger_nodes, ledger_suspense
from keeptrusts.cli.ledger_rebuild import rebuild
from keeptrusts.cli.ledger_recovery import app as recovery
from keeptrusts.cli.ledger_verify import verify

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="The books themselves.")
app.command()(verify)
app.command()(rebuild)
app.add_typer(recovery, name="recovery")
app.add_typer(ledger_nodes.app, name="node")
app.add_typer(ledger_suspense.app, name="suspense")

"""The benchmark: what a governed call costs beside nginx and other gateways, on this machine, in one run."""

"""The gateways that are measured, one file each."""

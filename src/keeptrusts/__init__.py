"""Keeptrusts: token governance for enterprises that buy language models."""

__version__ = "0.1.0"

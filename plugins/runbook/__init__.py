"""Runbook: notes that run, and say what they see on this host."""

__version__ = "0.1.0"

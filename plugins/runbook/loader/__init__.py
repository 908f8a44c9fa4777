"""Turns runbook.yaml into a Runbook, or says everything that is wrong with it."""

from __future__ import annotations

from runbook.loader.definition import load, schema

__all__ = ["load", "schema"]

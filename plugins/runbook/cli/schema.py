"""Print the JSON Schema of runbook.yaml, so that an editor completes and checks while you write."""

from __future__ import annotations

import argparse
import json

from runbook.loader.definition import schema

EXAMPLES = "examples:\n  runbook schema > runbooks/schema.json"


def arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(arguments: argparse.Namespace) -> int:
    print(json.dumps(schema(), indent=2, ensure_ascii=False))
    return 0

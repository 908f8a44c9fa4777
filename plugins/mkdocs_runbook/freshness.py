"""When a runbook last passed its labs, and on which releases, as `runbook test --labs --keep` wrote it down."""

from __future__ import annotations

from runbook.archive import load_passed
from runbook.model import Runbook


def freshness(runbook: Runbook) -> str:
    """One sentence, for people; raises UsageError when what was written down makes no sense."""
    if not runbook.labs:
        return "It has no labs yet."
    passed = load_passed(runbook)
    if passed is None:
        return "Nobody has written down yet when its labs passed."
    tools = ", ".join(f"{name} {version}" for name, version in sorted(passed.tools.items()))
    where = ", ".join(part for part in (passed.os, f"Linux {passed.kernel}", tools) if part)
    changed = "" if passed.digest == runbook.digest else " It has been changed since."
    return f"All {len(runbook.labs)} labs last passed on {passed.date}: {where}.{changed}"

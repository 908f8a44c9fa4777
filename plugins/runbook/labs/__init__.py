"""Disposable systems, healthy or broken on purpose: built by a shell script, looked at by a runbook, thrown away."""

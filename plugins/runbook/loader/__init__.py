"""Turns runbook.yaml, samples and the fences of notes into values, or says everything that is wrong with them."""

"""Readers of what commands print, and the few ways to show it, that several runbooks share.

A reader takes a `Capture` and gives `Record`s: dictionaries that know the lines they stood on, so that a finding can
point at them. Output that cannot be read raises `Unreadable`, which names the step, the line and the reason in words.
"""

from runbook.formats.devices import BlockDevice, Devices, Mapping, Mount, block_devices, mappings
from runbook.formats.drawing import Branch, change, human_size, look, tree
from runbook.formats.json import JsonObject, json_document, json_line, json_records
from runbook.formats.partial import Unread, complaint, optional, unread_findings
from runbook.formats.records import Record
from runbook.formats.tables import columns, export_blocks

__all__ = [
    "BlockDevice",
    "Branch",
    "Devices",
    "JsonObject",
    "Mapping",
    "Mount",
    "Record",
    "Unread",
    "block_devices",
    "change",
    "columns",
    "complaint",
    "export_blocks",
    "human_size",
    "json_document",
    "json_line",
    "json_records",
    "look",
    "mappings",
    "optional",
    "tree",
    "unread_findings",
]

"""A file that the user named and that could not be read: which one, why, and the cure. No fault of a helper."""

from __future__ import annotations

from runbook.model import Evidence, Finding, Verdict

#: What the system or a probe says of a file, and what that means for who named it.
_CURES = (
    ("No such file", "Nothing has this name. Look for a slip of the pen, and where you are: a name that does not begin "
     "with / is looked for in the folder in which you are."),
    ("Permission denied", "You may not read it. Run this as a user who may, with sudo for instance."),
    ("Is a directory", "It is a folder. Name one of the files in it."),
    ("is not a file", "It is a pipe, a device or a folder, which may never end. Copy what comes out of it to a file "
     "first, and name that."),
    ("is empty", "Nothing was written to it, or not yet: whatever should write it still keeps it, or has failed."),
)  # fmt: skip


def not_read(code: str, name: str, reason: str, wanted: str, evidence: Evidence) -> Finding:
    """`wanted` says what the file should be, and how to get one where it is none: a sentence."""
    cure = next((text for word, text in _CURES if word in reason), wanted)
    shown = name.replace("`", "'")
    words = (
        reason if reason.startswith(("is ", "begins ", "ends ", "says ", "has ")) else f"could not be read: {reason}"
    )
    return Finding(
        code,
        Verdict.UNKNOWN,
        f"`{shown}` {words}",
        "So nothing was looked at, and this says nothing of what you want to know.",
        cure,
        (evidence,),
    )

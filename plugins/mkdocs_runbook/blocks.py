"""Says in which note, and in which line, a block of markdown-exec failed; it only says what was in the block."""

from __future__ import annotations

import logging
import os
import textwrap


class BlockFilter(logging.Filter):
    """Puts `file:line: ` before what markdown-exec warns of; `note` is the file that is being converted."""

    note = ""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True: nothing is held back."""
        if record.levelno >= logging.WARNING and self.note:
            message = record.getMessage()
            record.msg, record.args = f"{self._place(message)}: {message}", None
        return True

    def _place(self, message: str) -> str:
        path = os.path.relpath(self.note)
        _, _, rest = message.partition("Code block is:\n\n")
        code = [line.strip() for line in textwrap.dedent(rest.partition("\n\nOutput is:")[0]).strip("\n").split("\n")]
        try:
            with open(self.note, encoding="utf-8", errors="replace") as file:
                lines = [line.strip() for line in file]
        except OSError:
            return path
        for number in range(len(lines)):
            if lines[number : number + len(code)] == code:
                return f"{path}:{number + 1}"
        return path

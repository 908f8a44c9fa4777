"""The command line: one file a sub-command, imported only when it is the one that was asked for."""

from __future__ import annotations

import argparse
import io
import os
import sys
from importlib import import_module
from typing import Any, TextIO

from runbook import __version__
from runbook.errors import RunbookError
from runbook.escaping import escape, safe

#: Every sub-command and its line of help; module `cli/<name>.py` has `arguments(parser)` and `run(arguments)`.
COMMANDS = {
    "list": "the runbooks that can be found from here",
    "show": "what a runbook does, asks for and needs, and its exact commands",
    "run": "run runbooks and say what they see",
    "lab": "a shell inside a system that was built, or broken, on purpose",
    "record": "save real output as a sample",
    "build": "build the site, where every note shows its runbook",
    "serve": "serve the site on this host, where a page can run its runbook",
    "check": "lint definitions, helpers, samples and notes",
    "test": "replay every sample, and run every lab, against its expectations",
    "trust": "allow a knowledge base's runbooks to be executed here, as they are now",
    "doctor": "which tools and rights are missing here, and what brings them",
    "schema": "the JSON Schema of runbook.yaml, for editors",
    "completion": "the completion script for your shell",
}

EXAMPLES = """\
examples:
  runbook list                                   what there is
  runbook run lvm-inspect                        look at this host
  runbook run lvm-inspect --plan                 the exact commands, run nothing
  runbook run lvm-inspect --lab thin-pool-full   look at a system that is broken on purpose

exit status: 0 ok, 1 warning, 2 critical, 3 unknown or could not run, 64 wrong usage or a broken definition,
130 interrupted
"""

#: sysexits.h EX_IOERR: the result could not be written where it should go.
EX_IOERR = 74


class Parser(argparse.ArgumentParser):
    """argparse with this program's exit status for wrong usage, and the examples kept as they are written."""

    def __init__(self, **options: object) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)  # type: ignore[arg-type]

    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage(sys.stderr)
        self.exit(64, f"runbook: {message}\n    {self.prog} --help shows how it is meant\n")


def main(words: list[str] | None = None) -> int:
    """Run the command line; gives the exit status."""
    _reopen_standard_streams()
    try:
        return _main(sys.argv[1:] if words is None else words)
    except RunbookError as error:
        # What a file or folder is called may hold anything; a terminal must not obey it.
        print(escape(f"runbook: {error}".encode("utf-8", "surrogateescape")), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Who read our output has seen enough (`| head -1`). Python would complain once more while it shuts down.
        _discard_output()
        return 141
    except OSError as error:
        if error.filename is None:
            print(f"runbook: the result could not be written: {error.strerror}", file=sys.stderr)
            _discard_output()
            return EX_IOERR
        print(safe(f"runbook: {error.filename}: {error.strerror}"), file=sys.stderr)
        return 3
    except Exception as error:
        # 1 would mean a warning to a scheduler.
        print(escape(f"runbook: broke: {type(error).__name__}: {error}".encode("utf-8", "replace")), file=sys.stderr)
        print("    this is a defect: please report it, with what was run", file=sys.stderr)
        return 3


def _main(words: list[str]) -> int:
    parser = build(words)
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)
    if words and words[0] not in COMMANDS and not words[0].startswith("-"):
        _no_such_command(words[0])
    arguments = parser.parse_args(words)
    _tell_strangers(arguments.command)
    if arguments.command is None:
        parser.print_help()
        return 64
    status: int = import_module(f"runbook.cli.{arguments.command}").run(arguments)
    sys.stdout.flush()
    return status


def _tell_strangers(command: str | None) -> None:
    if command in (None, "schema", "completion"):
        return
    from runbook.catalog import strangers
    from runbook.cli.options import current_folder

    for root in strangers(current_folder()):
        print(safe(f"runbook: {root} belongs to somebody else and is left out; copy it to use it"), file=sys.stderr)


def _no_such_command(word: str) -> None:
    """Raise UsageError with what was probably meant: a sub-command, or to run the runbook of this name."""
    from runbook.catalog import entries
    from runbook.cli.options import current_folder
    from runbook.errors import UsageError
    from runbook.values import nearest, shorten

    if word.replace("_", "-") in {entry.name for entry in entries(current_folder())}:
        raise UsageError(f"there is no command `{shorten(word)}`\n    did you mean `runbook run {shorten(word)}`?")
    cure = nearest(word, COMMANDS) or f"the commands are {', '.join(COMMANDS)}"
    raise UsageError(f"there is no command `{shorten(word)}`\n    {cure}")


def build(words: list[str]) -> Parser:
    """The parser, with the arguments of the one sub-command that these words ask for (of all, to complete a word)."""
    parser = Parser(
        prog="runbook", description="Notes that run: what this host says, why, and what to do.", epilog=EXAMPLES
    )
    parser.add_argument("--version", action="version", version=f"runbook {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text)
        if name in words or "_ARGCOMPLETE" in os.environ:
            module = import_module(f"runbook.cli.{name}")
            command.description, command.epilog = module.__doc__, getattr(module, "EXAMPLES", None)
            module.arguments(command)
    return parser


def _reopen_standard_streams() -> None:
    """Fill closed descriptors 0 to 2, or the first file that is opened would be taken for one of them."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for number in (1, 2):
        # Who shares them may have made them non-blocking, and a long result would be cut.
        os.set_blocking(number, True)
    sys.stdin = sys.stdin or _nowhere()
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    if isinstance(sys.stderr, io.TextIOWrapper) and sys.stderr is sys.__stderr__:
        said = io.BufferedWriter(_Diagnostics(2, "w", closefd=False))
        sys.stderr = io.TextIOWrapper(said, sys.stderr.encoding, line_buffering=True)
    for stream in (sys.stdout, sys.stderr):
        # Facts are UTF-8 whatever the locale says; a terminal that cannot show a sign gets a question mark.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


class _Diagnostics(io.FileIO):
    """Standard error: that nothing can be said there (a full disk, nobody reads) must not end what is being done."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


def _discard_output() -> None:
    sys.stdout = _nowhere()
    os.dup2(sys.stdout.fileno(), 1)


def _nowhere() -> TextIO:
    return open(os.devnull, "r+")  # It stays open for as long as the process lives.

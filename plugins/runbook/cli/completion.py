"""Print the completion script for your shell."""

from __future__ import annotations

import argparse

EXAMPLES = """examples:
  eval "$(runbook completion bash)"                                     in ~/.bashrc
  eval "$(runbook completion zsh)"                                      in ~/.zshrc
  runbook completion fish > ~/.config/fish/completions/runbook.fish"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def run(arguments: argparse.Namespace) -> int:
    from argcomplete.shell_integration import shellcode

    print(shellcode(["runbook"], shell=arguments.shell))
    return 0

"""What every command says to the terminal: the consoles, and expected errors turned into sentences and
exit codes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from rich.console import Console

from tessera.errors import ScriptError

_PIPE_COLUMNS = None if sys.stdout.isatty() else 120
out = Console(highlight=False, width=_PIPE_COLUMNS)
err = Console(stderr=True, highlight=False)

INTERRUPTED = 130
_OUR_PACKAGES = ("provenance.", "generator.", "backend.", "scripts.")


def exit_status(action: Callable[[], object]) -> int:
    """Run `action`; expected errors are printed and become an exit status, anything else is raised."""
    from tessera.devnet.children import Stopped

    try:
        action()
    except ScriptError as error:
        say_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        remark("interrupted")
        return INTERRUPTED
    except Stopped as stopped:
        return 128 + stopped.number
    except BrokenPipeError:
        # The reader of our output went away (`tessera ... | head`): keep the interpreter's own flush quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.filename is None:
            raise
        say_error(ScriptError(f"{error.filename}: {error.strerror}"))
        return 2
    except Exception as error:
        # The process edge. Every package raises its own errors with the message already made for people;
        # what is not ours is a bug and keeps its traceback.
        if not type(error).__module__.startswith(_OUR_PACKAGES):
            raise
        say_error(error)
        return 2 if isinstance(error, ValueError) else 1
    return 0


def say(text: str) -> None:
    """One line (or more) on standard output, never wrapped: people copy from it and programs read it."""
    out.print(text, markup=False, soft_wrap=True)


def remark(text: str) -> None:
    """Advice beside the result: standard error, so that the result alone can be piped."""
    err.print(text, markup=False, soft_wrap=True)


def say_error(error: Exception) -> None:
    """One message on standard error, unwrapped so that it can be searched for."""
    err.print("error:", style="bold red", end=" ")
    err.print(str(error), markup=False, soft_wrap=True)

"""What the programs of this repository say to the terminal: the consoles, one progress bar, and expected
errors turned into sentences and exit codes. Only `tessera.cli`, `tessera.devnet` and the programs outside the
wheel say anything."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from provenance.printable import printable
from tessera.errors import Stopped, TesseraError
from tessera.extras import MissingExtraError, extra_of

if TYPE_CHECKING:
    from provenance.chain.errors import RevertError

# A pipe has no width of its own: what is written to one is as wide as its content, up to a certificate's widest line.
_PIPE_COLUMNS = None if sys.stdout.isatty() else 240


class PlainConsole(Console):
    """A console on which words cannot give commands: what a market, a manifest or a table says is only shown."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


out = PlainConsole(highlight=False, width=_PIPE_COLUMNS)
err = PlainConsole(stderr=True, highlight=False)

INTERRUPTED = 130
_OUR_PACKAGES = ("provenance.", "generator.", "backend.", "tessera.", "scripts.", "benchmarks.")


def exit_status(action: Callable[[], object]) -> int:
    """Run `action`; expected errors are printed and become an exit status, anything else is raised.

    0 done, 1 refused or failed, 2 the command line, a file that it names or the installation cannot be used,
    130 interrupted, 128 + number for a signal; an error with an `exit_code` of its own decides itself.
    """
    try:
        action()
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
        say_error(TesseraError(f"{error.filename}: {error.strerror}"))
        return 2
    except ModuleNotFoundError as error:
        named = error if isinstance(error, MissingExtraError) else extra_of(error)
        if named is None:
            raise
        say_error(named)
        return 2
    except Exception as error:
        # The process edge. Every package raises its own errors with the message already made for people;
        # what is not ours is a bug and keeps its traceback.
        if not type(error).__module__.startswith(_OUR_PACKAGES):
            raise
        say_error(error)
        return _status_of(error)
    return 0


def _status_of(error: Exception) -> int:
    from provenance.errors import KeyFileError

    if isinstance(error, TesseraError):
        return error.exit_code
    return 2 if isinstance(error, ValueError | KeyFileError) else 1


def say(text: str) -> None:
    """One line (or more) on standard output, never wrapped: people copy from it and programs read it."""
    out.print(text, markup=False, soft_wrap=True)


def say_json(document: object) -> None:
    """A document for programs on standard output."""
    # Control characters stand inside of strings only, where what is printed means the same.
    print(printable(json.dumps(document, indent=2, ensure_ascii=False)))


def remark(text: str) -> None:
    """Advice beside the result: standard error, so that the result alone can be piped."""
    err.print(text, markup=False, soft_wrap=True)


def say_error(error: Exception) -> None:
    """One message on standard error, unwrapped so that it can be searched for."""
    err.print("error:", style="bold red", end=" ")
    err.print(_words_of(error), markup=False, soft_wrap=True)


def _words_of(error: Exception) -> str:
    """What is said about an error: with options by their names, a contract's refusal in words rather than by its."""
    from tessera.words import refusal, with_options

    if type(error).__name__ != "RevertError":
        return with_options(str(error))

    return refusal(cast("RevertError", error), int(time.time()))


class Bar(Protocol):
    """How far something is: the step's name, the share of all work from 0 to 1, figures beside it."""

    def __call__(self, step: str, share: float, figures: str = "") -> None: ...


def _no_bar(step: str, share: float, figures: str = "") -> None:
    """Nobody watches."""


@contextmanager
def progress_bar() -> Iterator[Bar]:
    """A bar under what is said, on a terminal; elsewhere nothing, so that pipes and logs stay clean."""
    if not err.is_terminal:
        yield _no_bar
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:24}"),
        BarColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("", total=1.0, figures="")

        def show(step: str, share: float, figures: str = "") -> None:
            progress.update(task, completed=share, description=step, figures=figures)

        yield show

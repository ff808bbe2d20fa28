"""No orphan lines: a paragraph of a docstring or a comment does not end in a line of one or two words.

    python -m scripts.checks.prose          # names each orphan line, exit status 1 if there is one
    python -m scripts.checks.prose --fix    # wraps those paragraphs anew

An orphan is what an editor leaves when a sentence grows by a word. Only plain paragraphs are looked at: lines of one
indentation without lists, tables or code.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import subprocess
import textwrap
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.checks.workspace import ROOT

FEWEST_WORDS = 3
WIDTH = 110
WIDEST = 118
NARROWEST = 70
_NOT_PROSE = re.compile(r"\s*(?:[-*+|>#:]|\d+[.)]\s|\.\.|[A-Z]\.\s|\S+\s{2,}\S)")
_COMMENT = re.compile(r"(\s*#)\s(.*)")


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Consecutive lines of plain prose: `first` counts lines from 0; `lead` stands before every line but may differ on
    the first, where quotes open.
    """

    first: int
    lines: tuple[str, ...]
    opening: str
    lead: str

    @property
    def is_orphaned(self) -> bool:
        """Whether its last line is too short to stand alone."""
        return len(self.lines) > 1 and len(self.lines[-1].split()) < FEWEST_WORDS

    def wrapped(self) -> list[str]:
        """The same words over lines that end well: as few lines as WIDTH allows, else evened out."""
        words = " ".join(line.strip() for line in self.lines)
        for width in (WIDTH, WIDEST, *range(WIDTH - 2, NARROWEST, -2)):
            lines = textwrap.wrap(
                words, width, initial_indent=self.opening, subsequent_indent=self.lead,
                break_long_words=False, break_on_hyphens=False,
            )  # fmt: skip
            if len(lines) == 1 or len(lines[-1].removeprefix(self.lead).split()) >= FEWEST_WORDS:
                return lines
        return [self.opening + self.lines[0], *(self.lead + line for line in self.lines[1:])]


def paragraphs(source: str) -> Iterator[Paragraph]:
    """Every paragraph of prose in the docstrings and comments of a Python file."""
    lines = source.splitlines()
    for first, last in _docstrings(source):
        yield from _in_docstring(lines, first, last)
    yield from _in_comments(source, lines)


def mended(source: str) -> str:
    """The file with its orphaned paragraphs wrapped anew."""
    lines = source.splitlines()
    orphaned = [paragraph for paragraph in paragraphs(source) if paragraph.is_orphaned]
    for paragraph in sorted(orphaned, key=lambda paragraph: -paragraph.first):
        end = paragraph.first + len(paragraph.lines)
        wrapped = paragraph.wrapped()
        is_whole_docstring = '"""' in paragraph.opening and lines[end].strip() == '"""'
        if is_whole_docstring and len(wrapped) == 1 and len(wrapped[0]) <= WIDEST - 3:
            wrapped, end = [wrapped[0] + '"""'], end + 1
        lines[paragraph.first : end] = wrapped
    return "\n".join(lines) + "\n"


def _docstrings(source: str) -> Iterator[tuple[int, int]]:
    """First and last line of each text that stands alone as a statement."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            yield node.lineno - 1, (node.end_lineno or node.lineno) - 1


def _in_docstring(lines: Sequence[str], first: int, last: int) -> Iterator[Paragraph]:
    quotes = re.match(r'(\s*)[rR]?"""', lines[first])
    if quotes is None:
        return
    lead = quotes[1]
    run: list[str] = [lines[first][quotes.end() :]]
    start, opening = first, quotes[0]
    for number in range(first + 1, last + 1):
        line = lines[number]
        text = line[len(lead) :]
        if text.strip() in ("", '"""') or not line.startswith(lead):
            yield from _plain(start, run, opening, lead)
            run, start, opening = [], number + 1, lead
            continue
        run.append(text.removesuffix('"""') if number == last else text)
    # A paragraph that shares its last line with the closing quotes is left to the formatter.


def _in_comments(source: str, lines: Sequence[str]) -> Iterator[Paragraph]:
    whole = sorted(
        token.start[0] - 1
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT and lines[token.start[0] - 1].lstrip().startswith("#")
    )
    run: list[str] = []
    start, lead = -1, ""
    for number in whole:
        match = _COMMENT.fullmatch(lines[number])
        if match is None or number != start + len(run) or match[1] != lead:
            yield from _plain(start, run, f"{lead} ", f"{lead} ")
            run, start, lead = [], number, match[1] if match else ""
        if match is not None:
            run.append(match[2])
    yield from _plain(start, run, f"{lead} ", f"{lead} ")


def _plain(first: int, run: Sequence[str], opening: str, lead: str) -> Iterator[Paragraph]:
    if run and not any(line.startswith(" ") or _NOT_PROSE.match(line) or line.endswith(":") for line in run):
        yield Paragraph(first, tuple(run), opening, lead)


def python_files(folder: Path) -> list[Path]:
    """The Python files that the checkout keeps."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"]
    listed = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True).stdout.splitlines()
    return [folder / name for name in listed if (folder / name).is_file()]


def orphans(files: Iterable[Path], folder: Path) -> list[str]:
    """`file:line: the line`, one an orphan."""
    return [
        f"{file.relative_to(folder)}:{paragraph.first + len(paragraph.lines)}: {paragraph.lines[-1].strip()}"
        for file in files
        for paragraph in paragraphs(file.read_text(encoding="utf-8"))
        if paragraph.is_orphaned
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 1 when an orphan line is left."""
    parser = argparse.ArgumentParser(description="finds paragraphs that end in a line of one or two words")
    parser.add_argument("--fix", action="store_true", help="wrap those paragraphs anew")
    options = parser.parse_args(arguments)
    files = python_files(ROOT)
    if options.fix:
        for file in files:
            source = file.read_text(encoding="utf-8")
            better = mended(source)
            if better != source:
                ast.parse(better)
                file.write_text(better, encoding="utf-8")
    left = orphans(files, ROOT)
    print("\n".join([*left, f"{len(left)} orphan lines"]))
    return 1 if left else 0


if __name__ == "__main__":
    raise SystemExit(main())

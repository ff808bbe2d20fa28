"""Fenced blocks of a page, run as a reader would run them.

    sh                 a block of commands, stopped at the first that fails
    sh keeps-running   one command that stays, such as a server: started, and ended with the guide
    python             a program

Blocks in other fences (text, ini, toml) are to be read, not run. Lines that export variables hold for all later blocks.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tessera.devnet.network import python_path
from tests.waiting import HANG_SECONDS

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(sh|sh keeps-running|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

Before = Mapping[str, Callable[[], Mapping[str, str]]]
"""What happens before the first block with such words in it, and the texts of the guide that stand for others then."""


def blocks(page: Path) -> list[tuple[str, str]]:
    """(fence, text) of all that is run."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


@dataclass(slots=True)
class Reader:
    """Somebody who follows a page in a folder of their own, where `texts` of the page stand for others."""

    folder: Path
    texts: dict[str, str] = field(default_factory=dict)
    before: Before = field(default_factory=dict)
    _exports: list[str] = field(default_factory=list)
    _done: set[str] = field(default_factory=set)

    @contextmanager
    def follow(self, page: Path) -> Iterator[list[str]]:
        """Run every block of the page; what stays runs until the end. Gives the output of each block that ended."""
        with ExitStack() as running:
            said = []
            for fence, text in blocks(page):
                self._prepare(text)
                text = self._translated(text)
                if fence == "sh keeps-running":
                    running.enter_context(self._keep_running(text))
                else:
                    said.append(self._run(fence, text))
            assert set(self.before) == self._done, (
                "something was prepared for words that the page does not have"
            )
            yield said

    def _prepare(self, text: str) -> None:
        for words, act in self.before.items():
            if words in text and words not in self._done:
                self._done.add(words)
                self.texts.update(act())

    def _translated(self, text: str) -> str:
        for old, new in self.texts.items():
            text = text.replace(old, new)
        return text

    def _run(self, fence: str, text: str) -> str:
        if fence == "sh":
            words = ["bash", "-euo", "pipefail", "-c", "\n".join([*self._exports, text])]
            self._exports += [line for line in text.splitlines() if line.startswith("export ")]
        else:
            words = [sys.executable, "-c", text]
        done = subprocess.run(words, cwd=self.folder, env=environment(), capture_output=True, text=True,
                              timeout=HANG_SECONDS)  # fmt: skip
        assert done.returncode == 0, f"{text}\nended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    @contextmanager
    def _keep_running(self, text: str) -> Iterator[None]:
        log = self.folder / "keeps-running.log"
        script = "\n".join([*self._exports, f"exec {text.strip()}"])
        with log.open("ab") as to:
            child = subprocess.Popen(["bash", "-euc", script], cwd=self.folder, env=environment(), stdout=to,
                                     stderr=subprocess.STDOUT, start_new_session=True)  # fmt: skip
        try:
            yield
            assert child.poll() is None, f"{text}\nended by itself:\n{log.read_text(encoding='utf-8')}"
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGTERM)
            child.wait(30)


def environment() -> dict[str, str]:
    """This checkout's `tessera` and `python` first, no settings of a market from outside, the test's own owner."""
    given = python_path()
    found = {name: value for name, value in given.items() if not name.startswith("TESSERA_")}
    found |= {"TESSERA_OWNER": given["TESSERA_OWNER"]}
    return {**found, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{found['PATH']}", "NO_COLOR": "1"}

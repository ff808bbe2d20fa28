"""Orphan lines are found and wrapped anew; words never change."""

from pathlib import Path

import pytest

from scripts.checks.prose import mended, orphans, paragraphs

ORPHANED = '''"""A first sentence that is long enough to need a second line, for it names what it holds and a bit
more.
"""


def area(width: int) -> int:
    """The area.

    A second paragraph, which ends well because its last line
    has more than two words.
    """
    # A comment whose last word fell over the edge of the line when somebody added a word to the sentence in the
    # middle.
    return width * width
'''
LISTS_AND_CODE = '''"""Use:

    python -m program FILE
    FILE

- a list whose second line
  is short
Names:
here
"""
'''


def found(source: str, folder: Path) -> list[str]:
    file = folder / "planted.py"
    file.write_text(source, encoding="utf-8")
    return orphans([file], folder)


def test_orphans_of_docstrings_and_comments_are_named_with_their_lines(tmp_path: Path) -> None:
    assert found(ORPHANED, tmp_path) == ["planted.py:2: more.", "planted.py:13: middle."]


def test_wrapped_anew_they_are_gone_and_the_words_are_the_same(tmp_path: Path) -> None:
    better = mended(ORPHANED)
    assert found(better, tmp_path) == []
    assert (
        better.replace("#", " ").split()
        == ORPHANED.replace("#", " ").replace('more.\n"""', 'more."""').split()
    )


def test_a_docstring_that_is_all_of_a_file_stays_one(tmp_path: Path) -> None:
    assert mended('"""' + "word " * 20 + 'and an\nend.\n"""\n') == '"""' + "word " * 20 + 'and an end."""\n'


@pytest.mark.parametrize("source", [LISTS_AND_CODE, '"""One line."""\n', "x = 1  # trailing\n# alone\n", ""])
def test_lists_code_and_single_lines_are_left_alone(source: str, tmp_path: Path) -> None:
    assert found(source, tmp_path) == []
    assert [paragraph for paragraph in paragraphs(source) if paragraph.is_orphaned] == []

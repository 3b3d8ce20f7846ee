"""Pages of the documentation: their fenced blocks, and the remarks that stand before them."""

import re
import textwrap

from .server import TOP

FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[^`]*)$")
REMARK = re.compile(r"<!--\s*(.*?)\s*-->", re.DOTALL)


class Block:
    """One fenced block. Its remarks are the HTML comments right before it, which no reader sees."""

    def __init__(self, page, line, language, text, remarks):
        self.page = page
        self.line = line
        self.language = language
        self.text = text
        self.remarks = remarks

    def __str__(self):
        return f"{self.page.relative_to(TOP)}:{self.line}"


def blocks(page):
    """All blocks of a page, in order."""
    found, before, opened = [], [], None
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = FENCE.match(line)
        if opened is None and fence:
            remarks = REMARK.findall(_last_paragraph(before))
            opened = (number, fence["language"].strip(), [], remarks)
        elif opened is not None and fence and not fence["language"]:
            start, language, lines, remarks = opened
            text = textwrap.dedent("\n".join(lines) + "\n")
            found.append(Block(page, start, language, text, remarks))
            opened, before = None, []
        elif opened is not None:
            opened[2].append(line)
        else:
            before.append(line)
    return found


def example(path, language, having=""):
    """The first block of a language on a page that has this in it: what it shows is what is tested."""
    page = TOP / path
    fitting = (block.text for block in blocks(page) if block.language == language)
    return next(text for text in fitting if having in text)


def _last_paragraph(lines):
    """The remarks that stand right before a fence, without prose in between."""
    text = "\n".join(lines).rstrip()
    start = len(text)
    while remark := re.search(r"<!--(?:(?!-->).)*-->\s*$", text[:start], re.DOTALL):
        start = remark.start()
    return text[start:]

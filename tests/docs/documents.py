"""The documents' blocks of code: what they are, whether they are run, and what they say they need."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(p for p in (ROOT / "docs").rglob("*.md") if "generated" not in p.parts)]
NEEDS = re.compile(r"^\*(Needs|Takes) .+\*$|<!-- needs: .+ -->")
RUN = "<!-- run -->"


@dataclass(frozen=True)
class Block:
    """One block of code. `run`: the tests run it; `needs`: what the page says it needs."""

    page: Path
    line: int
    language: str
    text: str
    run: bool
    needs: str

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """Fenced blocks, and indented ones that begin with a command."""
    lines = page.read_text(encoding="utf-8").splitlines()
    above, row = "", 0
    while row < len(lines):
        line = lines[row]
        if fence := re.match(r"^```(\S*)$", line):
            end = next(n for n in range(row + 1, len(lines)) if lines[n].startswith("```"))
            yield _block(page, row, fence[1], lines[row + 1 : end], above)
            above, row = "", end + 1
        elif re.match(r"^    (midvision|make|python|pip) ", line):
            end = next((n for n in range(row, len(lines)) if not lines[n].startswith("    ")), len(lines))
            yield _block(page, row, "sh", [text[4:] for text in lines[row:end]], above)
            above, row = "", end
        else:
            above, row = (line.strip() or above), row + 1


def _block(page: Path, row: int, language: str, body: list[str], above: str) -> Block:
    found = NEEDS.search(above)
    return Block(page, row + 1, language, "\n".join(body) + "\n", above == RUN, found[0] if found else "")


ALL = [block for page in PAGES for block in blocks(page)]


def commands(block: Block) -> list[tuple[str, str]]:
    """The commands of a block of shell, with the remark behind each; assignments are filled in."""
    known: dict[str, str] = {}
    found = []
    for line in block.text.replace("\\\n", " ").splitlines():
        text, _, remark = line.partition(" #")
        if line.startswith("#") or not text.strip():
            continue
        if assigned := re.match(r'^([A-Z]+)="(.*)"$', text.strip()):
            known[assigned[1]] = assigned[2]
            continue
        for name, value in known.items():
            text = text.replace(f"${name}", value)
        found.append((text.strip(), remark.strip()))
    return found

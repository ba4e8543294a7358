"""What the documents tell a person to type works: it is run here, or says what it needs and is parsed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from documents import ALL, PAGES, ROOT, Block, commands

import midvision as mv
from midvision.cli.main import build_app, main

SHELL = [block for block in ALL if block.language in ("sh", "bash", "console", "shell")]
PYTHON = [block for block in ALL if block.language == "python"]
RUNNABLE = sorted({block.page for block in ALL if block.run})
MAKEFILES = "".join((ROOT / name).read_text(encoding="utf-8") for name in ("Makefile", "tests/accept/accept.mk"))
SET_UP = ("git clone ", "cd ", "python -m venv ", ".venv/bin/pip install ", "pip install ")


def names(found: list[Block]) -> list[str]:
    return [block.name for block in found]


def test_there_is_something_to_check() -> None:
    assert len(SHELL) > 30
    assert len(PYTHON) > 4
    assert sum(block.run for block in ALL) > 15


@pytest.mark.parametrize("block", SHELL, ids=names(SHELL))
def test_a_block_is_run_or_says_what_it_needs(block: Block) -> None:
    if block.run or block.needs:
        return
    for text, remark in commands(block):
        assert re.search(r"needs|no data", remark), f"{block.name}: `{text}` is neither run nor marked"


@pytest.fixture(scope="module")
def root() -> Any:
    from typer.main import get_command

    return get_command(build_app())


@pytest.mark.parametrize("block", SHELL, ids=names(SHELL))
def test_commands_are_what_the_parser_takes(block: Block, root: Any) -> None:
    for text, _ in commands(block):
        check_command(text, block, root)


def check_command(text: str, block: Block, root: Any) -> None:
    words = shlex.split(text)
    if words[0] == "midvision":
        parse(words[1:], root)
    elif words[0] == "make":
        assert re.search(rf"^{re.escape(words[1])}:", MAKEFILES, re.MULTILINE), f"{block.name}: no target {words[1]}"
    elif words[0] == "python" and words[1] != "-m":
        assert (ROOT / words[1]).exists(), f"{block.name}: no file {words[1]}"
    elif words[0] in ("pytest", "sbatch", "srun", "ray"):
        assert block.needs, block.name
    else:
        assert text.startswith(SET_UP) and block.needs, f"{block.name}: nobody checks `{text}`"


def parse(words: list[str], root: Any) -> None:
    """Read the command as the program would, without carrying it out; then the names in it."""
    context, command = root.make_context("midvision", list(words)), root
    while commands_below := getattr(command, "commands", None):
        assert words and words[0] in commands_below, f"There is no command {' '.join(words)!r}"
        command, words = commands_below[words[0]], words[1:]
    parameters = command.make_context(command.name, list(words), parent=context).params
    check_names(parameters)


def check_names(parameters: dict[str, Any]) -> None:
    from midvision.run.plan import task_names

    tasks, models = parameters.get("task") or [], parameters.get("model") or []
    if isinstance(tasks, list) and tasks:
        task_names(tasks)
    for name in (part for text in models for part in text.split(",")) if isinstance(models, list) else ():
        assert name.startswith(("file:", "python:")) or is_model(name), f"There is no model {name!r}"


def is_model(name: str) -> bool:
    """Known without asking the network or building anything."""
    import timm

    family, _, rest = name.partition("/")
    if family == "timm":
        return rest in timm.list_models(pretrained=True)
    if family == "random" and timm.is_model(rest):
        return True
    return any(record["id"] == name for record in mv.list_models())


def test_the_parser_would_notice(root: Any) -> None:
    for wrong in (
        "run -m dino_vitb16 --prob linear",
        "lst models",
        "run -t depht -m control/pixels",
        "run -m dnio_vitb16",
        "report",
    ):
        with pytest.raises(Exception):  # noqa: B017 - the parser's, ours or an assertion
            parse(shlex.split(wrong), root)


@pytest.mark.parametrize("block", PYTHON, ids=names(PYTHON))
def test_python_compiles(block: Block) -> None:
    compile(block.text, block.name, "exec")
    assert "midvision" in block.text


@pytest.mark.slow
@pytest.mark.parametrize("page", RUNNABLE, ids=[str(page.relative_to(ROOT)) for page in RUNNABLE])
def test_a_page_does_what_it_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """The runnable blocks of a page, one after the other, in one empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MIDVISION_OUTPUT", raising=False)
    for block in (block for block in ALL if block.page == page and block.run):
        if block.language == "python":
            exec(compile(block.text, block.name, "exec"), {"__name__": "__main__"})
            continue
        for text, _ in commands(block):
            words = shlex.split(text)
            assert words[0] == "midvision", f"{block.name}: only midvision is run here"
            monkeypatch.setattr(sys, "argv", words)
            code = main(words[1:])
            assert code == 0, f"{block.name}: `{text}` ended with {code}\n{capsys.readouterr().err}"


def test_yaml_is_a_data_description() -> None:
    from midvision.core.specs import DataSpec

    found = [block for block in ALL if block.language == "yaml"]
    assert found
    for block in found:
        single = [line for line in block.text.splitlines() if line.startswith("{")]
        for text in single or [block.text]:
            DataSpec.model_validate(yaml.safe_load(text))


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    """Files and headings that a page points at; addresses outside are left alone."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"^[a-z]+:", target):
            continue
        path, _, heading = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if "generated" in file.parts:
            assert file.stem in generated(), f"{page}: {target}"
            continue
        assert file.exists(), f"{page}: {target}"
        if heading:
            titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
            assert heading in slugs, f"{page}: {target}"


def generated() -> set[str]:
    sys.path.insert(0, str(ROOT / "docs" / "_ext"))
    try:
        import generated_pages

        return {"cli", "tasks", *generated_pages.protocol_pages()}
    finally:
        sys.path.pop(0)


def test_public_text_names_no_machine() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"/work/|/tmp/|/root/|/home/", text), page


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """As `make docs` does. Every option of every command is in it, and every decision of every protocol."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d", str(tmp_path / "state")]
    site = tmp_path / "site"
    done = subprocess.run(
        [*command, "-b", "html", str(ROOT / "docs"), str(site)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    for page in PAGES[1:]:
        assert (site / page.relative_to(ROOT / "docs").with_suffix(".html")).is_file()
    reference = (site / "generated" / "cli.html").read_text(encoding="utf-8")
    assert "--log-to" in reference and "tensorboard" in (site / "guides" / "trackers.html").read_text(encoding="utf-8")
    decisions = (site / "generated" / "protocol-scene-depth.html").read_text(encoding="utf-8")
    assert "scoring.gradient_axes" in decisions
    formulas = (site / "tasks" / "depth.html").read_text(encoding="utf-8")
    assert "<math" in formulas
    served = [
        path for path in site.rglob("*.html") if re.search(r'<(script|link)[^>]+"https?:', path.read_text("utf-8"))
    ]
    assert not served, "the site must open without a network"


def test_pictures_are_small() -> None:
    pictures = list((ROOT / "docs" / "images").glob("*.png"))
    assert len(pictures) == 6
    assert all(2_000 < picture.stat().st_size < 100_000 for picture in pictures)

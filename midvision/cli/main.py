"""The command line: parse, call, print. Nothing heavy is imported before the arguments are understood."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from midvision.cli import (
    cache_command,
    data_command,
    demo_command,
    doctor_command,
    list_command,
    models_command,
    protocol_command,
    result_commands,
    run_command,
    show_command,
    study_command,
    validate_command,
)
from midvision.cli.terminal import say
from midvision.core.errors import MidvisionError

INTERRUPTED = 130


COMMANDS: Mapping[str, Callable[..., Any]] = {
    "demo": demo_command.demo,
    "run": run_command.run,
    "study": study_command.study,
    "show": show_command.show,
    "validate": validate_command.validate,
    "report": result_commands.report,
    "compare": result_commands.compare,
    "export": result_commands.export,
    "doctor": doctor_command.doctor,
}
GROUPS: Mapping[str, Callable[[], typer.Typer]] = {
    "list": list_command.build,
    "models": models_command.build,
    "data": data_command.build,
    "protocol": protocol_command.build,
    "cache": cache_command.build,
}


def build_app(only: str | None = None) -> typer.Typer:
    """The commands, in the order of the help page.

    `only`: give flags to this command and leave the others as names with their help, since describing every flag
    of every command takes longer than the help page may.
    """
    app = typer.Typer(
        name="midvision",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={
            "help_option_names": ["-h", "--help"],
            "token_normalize_func": lambda name: name.replace("_", "-"),
        },
    )
    app.callback()(_common)
    for name, command in COMMANDS.items():
        app.command(name, help=command.__doc__)(command if only in (None, name) else _name_only)
    for name, build in GROUPS.items():
        group = build()
        if only in (None, name):
            app.add_typer(group, name=name)
        else:
            app.command(name, help=group.info.help)(_name_only)
    return app


def _name_only() -> None:
    """Stands for a command that was not asked for."""


def asked_for(arguments: Sequence[str]) -> str | None:
    """The command that these words name; an empty word if none; None where all must be known (completion)."""
    if any(name.endswith("_COMPLETE") for name in os.environ):
        return None
    first = next((word for word in arguments if not word.startswith("-")), "")
    return first if first in COMMANDS or first in GROUPS else ""


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"midvision {version('midvision')}")
        raise typer.Exit


def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """What a frozen vision encoder knows about the structure of a scene."""


def run(arguments: Sequence[str] | None = None) -> None:
    """Entry point: run the command and leave with its exit code."""
    # Threads that spin while they wait cost a busy machine three times the time; read when torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    raise SystemExit(main(list(sys.argv[1:] if arguments is None else arguments)))


def main(arguments: list[str]) -> int:
    """Run one command line; returns the exit code instead of leaving."""
    warnings.formatwarning = _one_line
    command = typer.main.get_command(build_app(asked_for(arguments)))
    try:
        code = command.main(args=arguments, prog_name="midvision", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except KeyboardInterrupt:
        say("Interrupted.")
        return INTERRUPTED
    except MidvisionError as error:
        return _tell(error, arguments)
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:
        return _tell_unexpected(error, arguments)


def _one_line(message: Warning | str, category: type[Warning], filename: str, *_: Any, **__: Any) -> str:
    """Our own warnings are for people; those of libraries keep their place in the code."""
    ours = Path(filename).is_relative_to(Path(__file__).parents[1])
    return f"Warning: {message}\n" if ours else f"{filename}: {category.__name__}: {message}\n"


def _tell(error: MidvisionError, arguments: Sequence[str]) -> int:
    if _verbose(arguments):
        import traceback

        traceback.print_exc()
    say(f"Error: {error.wrong}")
    for sentence in (error.expected, error.do):
        if sentence:
            say(f"  {sentence}")
    return error.exit_code


def _tell_unexpected(error: Exception, arguments: Sequence[str]) -> int:
    """Usage errors of the parser keep its wording; anything else is our defect and shows its traceback with -v."""
    if hasattr(error, "format_message"):
        context = getattr(error, "ctx", None)
        if not error.format_message():
            return int(getattr(error, "exit_code", 2))
        if context is not None:
            say(context.get_usage())
        say(f"Error: {error.format_message()}")
        return int(getattr(error, "exit_code", 2))
    if type(error).__name__ == "Abort":
        say("Interrupted.")
        return INTERRUPTED
    if _verbose(arguments):
        import traceback

        traceback.print_exc()
    say(f"Error: {type(error).__name__}: {error}")
    say("  This is not expected. -v shows where it happened.")
    return 1


def _verbose(arguments: Sequence[str]) -> bool:
    return "-v" in arguments or "--verbose" in arguments

"""The program: its commands, and how it ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from pullback._extras import install
from pullback.cli import facts, picture, results, training
from pullback.cli.options import BAD_INPUT, INTERRUPTED

app = typer.Typer(
    help="Image warping, and spatial transformers that train.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.callback(invoke_without_command=True)(facts.program)
for command in (results.evaluate, results.export, results.reproduce, results.rectify, picture.warp, facts.info):
    app.command()(command)

train = typer.Typer(invoke_without_command=True)
train.callback()(training.train)
train.command()(training.addition)
train.command()(training.colocalise)
app.add_typer(train, name="train")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the name of the command. Default: that of the process.
    """
    sys.exit(_run(list(sys.argv[1:] if arguments is None else arguments)))


def _run(arguments: list[str]) -> int:
    try:
        code = app(arguments, prog_name="pullback", standalone_mode=False)
        sys.stdout.flush()
    except (typer.Abort, KeyboardInterrupt):
        return _refuse("interrupted", INTERRUPTED)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "pullback":
            raise
        hint = install("onnx" if error.name.startswith("onnx") else "train")
        return _refuse(f"{error.name} is not installed; {hint}")
    except MemoryError:
        return _refuse("this needs more memory than there is")
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error))
    except (ValueError, TypeError) as error:
        return _refuse(str(error))
    except Exception as error:
        # Typer's own errors about arguments; their class has moved between its versions.
        if not hasattr(error, "format_message"):
            raise
        return _refuse(f"{error.format_message()} (see pullback --help)")
    return code if isinstance(code, int) else 0


def _refuse(message: str, code: int = BAD_INPUT) -> int:
    """Say in one line why, and leave stdout alone if it is what cannot be written."""
    print(f"pullback: {' '.join(message.split())}", file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return code

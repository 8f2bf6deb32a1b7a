"""A kind of kernel: what nbrun does to learn how a cell ended, and what it can't learn.

The protocol says that a kernel replies `ok` or `error`. Kernels take that differently: one calls a
cell `ok` whose first command failed, another one whose shell has exited.
"""

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from importlib import resources
from typing import Any

# The content of a message, as decoded from JSON.
Content = dict[str, Any]
# Yields source for the kernel to execute silently, receives the content of the reply, and returns
# the completed reply to the cell.
Interview = Generator[str, Content, Content]

_PYTHON_CLASS = re.compile(r"<class '(?:[^']*\.)?([^.']+)'>")


class ShellLostError(Exception):
    """The cell's interpreter is gone with its variables, although the kernel's process lives."""


def plain_error(content: Content) -> Content:
    """Return an error's content with `ZeroDivisionError` for `<class 'ZeroDivisionError'>`."""
    match = _PYTHON_CLASS.fullmatch(str(content.get("ename", "")))
    return {**content, "ename": match[1]} if match else content


def python_prelude(*files: str) -> str:
    """Return code that runs each of these files of nbrun's in a namespace of its own."""
    folder = resources.files("nbrun.kernel")
    sources = [folder.joinpath(*name.split("/")).read_text("utf-8") for name in files]
    return "\n".join(
        f"exec(compile({source!r}, '<nbrun prelude>', 'exec'), {{}})" for source in sources
    )


def _no_interview(content: Content) -> Interview:
    yield from ()
    return plain_error(content)


@dataclass(frozen=True)
class KernelKind:
    """How to use one kind of kernel.

    Attributes:
        prelude: returns the code that the kernel executes silently before the first step.
        ended_expression: Python, for the number of finished requests (see `Idled`); empty if the
            kernel can't tell.
        is_ipykernel: the kernel has what `ipython_background` needs, and answers on its control
            channel while it works.
        mark: returns code that prints a token after all earlier output; None if the kernel becomes
            idle only after all output of the cell, as the protocol says.
        complete: starts the interview after each reply. An interview raises `ShellLostError` if no
            further step can run in this kernel.
        read_error: returns the content of an `error` message in plain words.
        own_programs: words of the commands that the kernel itself runs beside the cells'.
        doubts: what may have gone wrong in a step that this kernel calls a success.
    """

    prelude: Callable[[], str] = str
    ended_expression: str = ""
    is_ipykernel: bool = False
    mark: Callable[[str], str] | None = None
    complete: Callable[[Content], Interview] = _no_interview
    read_error: Callable[[Content], Content] = plain_error
    own_programs: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

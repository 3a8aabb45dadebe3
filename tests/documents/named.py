"""Finds the tests, tasks and commands that a document names. All of them must exist."""

import ast
from pathlib import Path


def functions_in(path: Path) -> set[str]:
    """Return the names of the file's functions. Raises OSError where there is no such file."""
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, functions)}

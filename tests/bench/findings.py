"""Collects the measured values, each with the bound that it must keep."""

import json
from pathlib import Path

from rich.console import Console


class Findings:
    """`Findings` are printed as soon as they are known, and written as JSON at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rows: list[dict[str, object]] = []

    def title(self, text: str) -> None:
        self._console.print(f"\n[bold]{text}[/bold]")

    def note(self, name: str, value: float, unit: str) -> None:
        """Note a number without a bound, because it says as much of the machine as of the code."""
        self._console.print(f"    {name:44} {value:12,.1f} {unit}", style="dim")
        self._rows.append({"name": name, "value": round(value, 3), "unit": unit})

    def at_least(self, bound: float, name: str, value: float, unit: str = "times") -> None:
        self._held(name, value, unit, kept=value >= bound, bound=f"at least {bound:g}")

    def at_most(self, bound: float, name: str, value: float, unit: str) -> None:
        self._held(name, value, unit, kept=value <= bound, bound=f"at most {bound:g}")

    def _held(self, name: str, value: float, unit: str, *, kept: bool, bound: str) -> None:
        mark = "[green]✔[/green]" if kept else "[red]✘[/red]"
        self._console.print(f"  {mark} {name:44} {value:12,.2f} {unit} ({bound})")
        row = {"name": name, "value": round(value, 3), "unit": unit, "bound": bound, "kept": kept}
        self._rows.append(row)

    @property
    def all_kept(self) -> bool:
        return all(row.get("kept", True) for row in self._rows)

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(self._rows, indent=2) + "\n")

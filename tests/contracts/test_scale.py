"""docs/scale.md rests on a simulation, which agrees with calculations and measurements."""

from pathlib import Path

import pytest

from tests.documents import scale

MACHINE = {"machine": 2}
RATE = 30


def on_the_machine(rate: float) -> scale.Seen:
    return scale.simulated(rate, MACHINE, dict.fromkeys(scale.CPU_MS, "machine"))


def test_processors_are_as_busy_as_rate_times_cost() -> None:
    work = sum(ms for part, ms in scale.CPU_MS.items() if part != "payouts")
    busy = RATE * work / 1000 / MACHINE["machine"]
    assert on_the_machine(RATE).busy["machine"] == pytest.approx(busy, rel=0.05)


def test_with_enough_processors_no_task_waits() -> None:
    """Where every task finds a free processor, purchases take the same time at any rate."""
    where = dict.fromkeys(scale.CPU_MS, "machine")
    slow, fast = (scale.simulated(rate, {"machine": 5_000}, where) for rate in (1, 100))
    assert slow.p50 == pytest.approx(fast.p50, rel=0.1)
    assert slow.p50 < on_the_machine(RATE).p50


def test_the_same_seed_gives_the_same_figures() -> None:
    assert on_the_machine(RATE) == on_the_machine(RATE)


def test_another_measured_cost_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = (scale.ROOT / "docs" / "figures.md").read_text()
    stated = scale.WITH_VIEWS.search(figures)
    assert stated is not None
    other = int(stated[1]) + 1
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "figures.md").write_text(
        figures.replace(stated[0], stated[0].replace(f"{stated[1]} ms", f"{other} ms", 1))
    )
    monkeypatch.setattr(scale, "ROOT", tmp_path)
    parts = sum(scale.CPU_MS.values())
    with pytest.raises(LookupError, match=rf"states {other} ms .* the parts .* {parts:.1f} ms"):
        scale.bounds()


def test_every_price_of_the_table_is_paid_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stated = scale.PRICES
    costs = []
    for paid in stated:
        only = {name: (dollars * (name == paid), what) for name, (dollars, what) in stated.items()}
        monkeypatch.setattr(scale, "PRICES", only)
        costs.append(hour_of_the_largest())
    assert all(costs), dict(zip(stated, costs, strict=True))
    monkeypatch.setattr(scale, "PRICES", stated)
    assert sum(costs) == pytest.approx(hour_of_the_largest(), abs=0.05)


def hour_of_the_largest() -> float:
    return float(scale.ladder().splitlines()[-1].split("$")[1].split()[0].replace(",", ""))

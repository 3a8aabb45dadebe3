"""Charts are readable on a phone and on a desktop."""

from itertools import combinations
from typing import Any

import pytest
from playwright.async_api import async_playwright

from services.portal.infrastructure.web.assets import assets
from services.portal.infrastructure.web.charts import Point
from services.portal.infrastructure.web.templating import environment
from tests.browser.chromium import CHROMIUM, FLAGS, install_chromium

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

POINTS = [
    Point("2026-06", 221_850_100_00),
    Point("2026-07", None),
    Point("Cancelada · desistência do comprador", 1),
    Point("Falhou · cartão recusado", 22_185_010_000),
    Point("WWWWWWWWWWWWWWWWWWWWWWWWWWWWW", 95_000_00),
    Point("Devolução", -5_000_00),
]
PAGE = """<html><head><style>{style}</style></head><body><main class="main"><div class="wrap">
<div class="charts"><section class="card">{chart}</section></div></div></main></body></html>"""
TEXTS = """() => [...document.querySelectorAll("svg text")].map((text) => {
  const { x, y, width, height } = text.getBoundingClientRect();
  return { text: text.textContent, x, y, width, height };
})"""
LEAST_HEIGHT = 9
"""The height of a line of text, in pixels."""

Box = dict[str, Any]


def meet(one: Box, other: Box) -> bool:
    apart = any(
        a[place] + a[size] <= b[place]
        for place, size in (("x", "width"), ("y", "height"))
        for a, b in ((one, other), (other, one))
    )
    return not apart


@pytest.mark.parametrize("width", [390, 1280])
async def test_no_texts_of_a_chart_overlap_and_none_is_cut_off(width: int) -> None:
    if (missing := install_chromium()) is not None:
        pytest.skip(missing)
    style = "".join(assets()[name].content.decode() for name in ("portal.css", "operations.css"))
    chart = environment("pt").filters["bars"](POINTS, "cents")
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await chromium.new_page(viewport={"width": width, "height": 800})
        await page.set_content(PAGE.format(style=style, chart=chart))
        texts: list[Box] = await page.evaluate(TEXTS)
        frame = await page.locator("svg").bounding_box()
        await chromium.close()
    assert frame is not None
    assert len(texts) == 2 * len(POINTS) - 1
    for text in texts:
        assert text["height"] >= LEAST_HEIGHT, text
        assert frame["x"] <= text["x"], text
        assert text["x"] + text["width"] <= frame["x"] + frame["width"], text
    assert [pair for pair in combinations(texts, 2) if meet(*pair)] == []

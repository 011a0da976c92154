"""The map itself: names in three languages, clusters that say how many of how many, what a click opens."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from schemas.alerts import Status
from tests.dashboards.console.made_up import MadeUp, now_ms, opened
from tests.dashboards.console.page import visit
from tests.dashboards.console.records import status

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

# The page's own map, caught as it is made: its module is the same for whoever imports it.
CATCH = """async () => {
    const { Map } = await import("/static/vendor/maplibre-gl.mjs"), add = Map.prototype.addControl;
    Map.prototype.addControl = function (...rest) {
        globalThis.caught = this;
        return add.apply(this, rest);
    };
}"""
DRAWN = """(layer) => globalThis.caught.queryRenderedFeatures({ layers: [layer] }).map((f) => ({
    ...f.properties,
    text: String(f.layer.layout["text-field"] ?? ""), image: String(f.layer.layout["icon-image"] ?? "") }))"""


@asynccontextmanager
async def mapped(browser: Browser, made: MadeUp, login: str, **options: Any) -> AsyncIterator[Page]:
    async with opened(browser, made, login, "/components", **options) as page:
        await page.evaluate(CATCH)
        await visit(page, "/")
        await page.wait_for_selector("body[data-map=ready]", timeout=60_000)
        yield page


async def drawn(page: Page, layer: str) -> list[dict[str, Any]]:
    """All that this layer shows, once nothing is left to be drawn."""
    await page.wait_for_function("() => globalThis.caught.loaded()", timeout=60_000)
    return list(await page.evaluate(DRAWN, layer))


async def until_named(page: Page, name: str) -> None:
    await page.wait_for_function(
        f"(name) => ({DRAWN})('names').some(({{ text }}) => text === name)",
        arg=name,
        timeout=60_000,
    )


async def test_names_stand_on_the_map_in_the_reader_s_language_and_a_click_opens_a_region(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    async with mapped(browser, made, "viewer") as page:
        await until_named(page, "Karaganda")
        await page.locator("#language").select_option("kk")
        await until_named(page, "Қарағанды")
        await page.locator("#language").select_option("en")
        await until_named(page, "Ulytau")
        # A region is opened where nothing else is.
        at = await page.evaluate(
            """() => {
                const map = globalThis.caught, { width, height } = map.getCanvas().getBoundingClientRect();
                for (let x = 20; x < width; x += 15) for (let y = 20; y < height; y += 15) {
                    const hit = map.queryRenderedFeatures([x, y], { layers: ["land"] })[0];
                    const over = map.queryRenderedFeatures([x, y], { layers: ["clusters", "single"] });
                    if (hit && !over.length) return [x, y, hit.properties.region];
                }
            }"""
        )
        await page.locator("#map canvas").click(position={"x": at[0], "y": at[1]})
        await expect(page.locator("#region")).to_have_attribute("data-id", at[2])


async def test_a_cluster_says_how_many_of_how_many_are_silent_and_one_of_many_is_not_red(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    silent = made.schools[0]
    made.desk.picture.status([status(silent, Status.OFFLINE, now_ms())], now_ms())
    try:
        async with mapped(browser, made, "viewer") as page:
            await page.wait_for_function(
                f"() => ({DRAWN})('clusters').concat(({DRAWN})('single'))"
                ".some(({ offline, status }) => offline || status === 'offline')",
                timeout=60_000,
            )
            clusters = {one["cluster_id"]: one for one in await drawn(page, "clusters")}.values()
            single = {one["id"] for one in await drawn(page, "single")}
            assert sum(one["point_count"] for one in clusters) + len(single) == len(made.schools)
            for one in clusters:
                count, offline = one["point_count"], one["offline"]
                assert one["text"] == (f"{offline}/{count}" if offline else str(count))
                red = offline / count >= 0.1
                expected = "offline" if red else "degraded" if offline else "online"
                assert one["image"] == f"school-{expected}"
    finally:
        made.desk.picture.status([status(silent, Status.ONLINE, now_ms())], now_ms())


async def test_the_share_that_makes_a_cluster_red_is_a_tenth(
    browser: Browser, made: MadeUp
) -> None:
    """By MapLibre's own reading of the expressions, over all small clusters and a national one."""
    cases = [
        (count, offline, degraded)
        for count in (2, 9, 10, 11, 20)
        for offline in range(count + 1)
        for degraded in (0, 1)
        if offline + degraded <= count
    ] + [(971, 1, 0), (971, 97, 0), (971, 98, 0)]
    async with mapped(browser, made, "viewer") as page:
        told = await page.evaluate(
            """async (cases) => {
                const map = globalThis.caught;
                map.addSource("cases", { type: "geojson", data: { type: "FeatureCollection", features:
                    cases.map(([point_count, offline, degraded], n) => ({ type: "Feature",
                        properties: { n, point_count, offline, degraded, online: point_count - offline },
                        geometry: { type: "Point", coordinates: [50 + n % 15 * 2, 42 + Math.floor(n / 15)] },
                    })) } });
                const { layout, paint } = map.getStyle().layers.find(({ id }) => id === "clusters");
                const over = { ...layout, "icon-allow-overlap": true, "text-allow-overlap": true };
                map.addLayer({ id: "cases", type: "symbol", source: "cases", paint, layout: over });
                map.setZoom(3);
                for (;;) {
                    await map.once("idle");
                    const drawn = map.queryRenderedFeatures({ layers: ["cases"] });
                    const by = Object.fromEntries(drawn.map((f) => [f.properties.n, f.layer.layout]));
                    if (Object.keys(by).length === cases.length) return cases.map((_, n) =>
                        [String(by[n]["text-field"]), String(by[n]["icon-image"])]);
                    map.triggerRepaint();
                }
            }""",
            cases,
        )
    for (count, offline, degraded), (text, image) in zip(cases, told, strict=True):
        red = offline / count >= 0.1
        worst = "offline" if red else "degraded" if offline + degraded else "online"
        assert (text, image) == (
            f"{offline}/{count}" if offline else str(count),
            f"school-{worst}",
        ), (count, offline, degraded)


async def test_the_map_shows_the_reader_s_places_and_home_leads_back_to_them(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    within = """([west, south, east, north]) => {
        const seen = globalThis.caught.getBounds();
        return seen.getWest() <= west && seen.getEast() >= east && seen.getSouth() <= south
            && seen.getNorth() >= north && seen.getEast() - seen.getWest() < 4 * (east - west);
    }"""
    almaty = [76.74, 43.03, 77.17, 43.41]
    async with mapped(browser, made, "regional") as page:
        await page.wait_for_function(within, arg=almaty, timeout=60_000)
        # As a person does: until one has moved it, the map goes on fitting whatever its frame becomes.
        box = await page.locator(".maplibregl-canvas").bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        await page.mouse.move(x, y)
        await page.mouse.down()
        await page.mouse.move(x + 0.45 * box["width"], y, steps=5)
        await page.mouse.up()
        await page.wait_for_function(f"(box) => !({within})(box)", arg=almaty, timeout=60_000)
        await page.locator("#map-home").click()
        await page.wait_for_function(within, arg=almaty, timeout=60_000)

"""The page at /docs in a real browser: drawn, quiet, alone with its own server, and working."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.http.openapi import document
from service.telemetry.lifecycle import Telemetry
from tests.api.conftest import on_socket
from tests.browser.chromium import Tab, browser, chromium
from tests.conftest import Service

PROGRAM = chromium()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="Chromium is not here")

VIOLATIONS = (
    "window.violations = []; document.addEventListener('securitypolicyviolation', it => window.violations.push("
    "it.effectiveDirective + ' ' + it.blockedURI))"
)
"""Remembers what the content security policy of a page has refused."""
LIVENESS = "#operations-health-check_live"


@pytest.fixture
async def tab(tmp_path: Path) -> AsyncIterator[Tab]:
    """A page of a browser with nothing on it yet."""
    assert PROGRAM is not None
    async with browser(PROGRAM, tmp_path / "profile") as opened:
        await opened.call("Page.addScriptToEvaluateOnNewDocument", source=VIOLATIONS)
        yield opened


async def test_the_page_draws_every_operation_and_tries_one(
    api: Service, telemetry: Telemetry, tab: Tab, tmp_path: Path
) -> None:
    """Every operation is drawn, one is called from the page, nothing is complained of, and no other host is asked."""
    operations = sum(len(item) for item in document(api.app)["paths"].values())
    async with on_socket(api, telemetry) as client:
        address = str(client.base_url).rstrip("/")
        await tab.call("Page.navigate", url=f"{address}/docs")
        drawn = await tab.until("document.querySelectorAll('.opblock').length")
        assert drawn == operations
        await tab.evaluate(f"document.querySelector('{LIVENESS} .opblock-summary-control').click()")
        await tab.until(f"document.querySelector('{LIVENESS} .execute')")
        await tab.evaluate(f"document.querySelector('{LIVENESS} .execute').click()")
        status = f"document.querySelector('{LIVENESS} .live-responses-table tbody .response-col_status')"
        assert (await tab.until(f"{status} && {status}.innerText")).startswith("200")
        picture = base64.b64decode((await tab.call("Page.captureScreenshot"))["data"])
        (tmp_path / "docs.png").write_bytes(picture)

        asked = [event["request"]["url"] for event in tab.told("Network.requestWillBeSent")]
        assert f"{address}/health/live" in asked
        assert [url for url in asked if not url.startswith((f"{address}/", "data:"))] == []
        assert [event["entry"]["text"] for event in tab.told("Log.entryAdded")] == []
        assert [event["args"] for event in tab.told("Runtime.consoleAPICalled") if event["type"] == "error"] == []
        assert tab.told("Runtime.exceptionThrown") == []
        assert await tab.evaluate("window.violations") == []


async def test_the_policy_of_the_page_is_kept_by_the_browser(api: Service, telemetry: Telemetry, tab: Tab) -> None:
    """An inline script does not run on the page, and nothing can be fetched from elsewhere: the policy is in force."""
    async with on_socket(api, telemetry) as client:
        await tab.call("Page.navigate", url=f"{client.base_url}/docs")
        await tab.until("document.querySelectorAll('.opblock').length")
        await tab.evaluate(
            "document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = true'}))"
        )
        await tab.evaluate("fetch('http://elsewhere.example/').catch(() => 0).then(() => 0)")
        await tab.until("window.violations.length >= 2")
        assert await tab.evaluate("window.ran === undefined")
        refused = await tab.evaluate("window.violations")
        assert sorted(refused) == ["connect-src http://elsewhere.example/", "script-src-elem inline"]

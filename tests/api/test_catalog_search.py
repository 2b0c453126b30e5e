"""`GET /catalog`, as the dashboard's page and as a program ask for it."""

from __future__ import annotations

from tests.api.page_site import BASE, Site
from trayapp.catalog.lookup import search


async def test_the_page_searches_the_catalog(site: Site) -> None:
    """With the page's key; without one nobody does."""

    path = f"{BASE}/catalog"
    assert 403 == (await site.ask("GET", path))[0]
    once = site.keys.link().reveal()
    _, answer, _ = await site.ask("POST", f"{BASE}/session", json={"once": once}, headers=site.own)
    with_key = {"Authorization": f"Bearer {answer['key']}", "Sec-Fetch-Site": "same-origin"}

    status, found, _ = await site.ask("GET", f"{path}?q=NOTION", headers=with_key)
    assert 200 == status
    assert [("notion", "https://mcp.notion.com/mcp")] == [(one["name"], one["url"]) for one in found["servers"]]
    _, found, _ = await site.ask("GET", path, headers=with_key)
    assert [server.name for server in search("")] == [one["name"] for one in found["servers"]]
    _, found, _ = await site.ask("GET", f"{path}?q=<script>", headers=with_key)
    assert [] == found["servers"]
    status, error, _ = await site.ask("GET", f"{path}?q={'x' * 101}", headers=with_key)
    assert (400, "bad_request") == (status, error["error"])

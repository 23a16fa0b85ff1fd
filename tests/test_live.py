"""What people look at and what counts them, without a browser: files, sizes, headers, the pixel, the terminal."""

import gzip
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Api
from tests.kit.user_agents import BROWSER

STATIC = Path(__file__).parent.parent / "app" / "static"
FILES = {
    "/": ("index.html", "text/html; charset=utf-8", "no-cache"),
    "/live.css": ("live.css", "text/css; charset=utf-8", "no-cache"),
    "/live.js": ("live.js", "text/javascript; charset=utf-8", "no-cache"),
    **{
        f"/live/{path.name}": (f"live/{path.name}", "text/javascript; charset=utf-8", "no-cache")
        for path in sorted((STATIC / "live").glob("*.js"))
    },
    "/embed": ("embed.html", "text/html; charset=utf-8", "no-cache"),
    "/embed.css": ("embed.css", "text/css; charset=utf-8", "no-cache"),
    "/embed.js": ("embed.js", "text/javascript; charset=utf-8", "no-cache"),
    "/favicon.svg": ("favicon.svg", "image/svg+xml", "no-cache"),
    **{
        f"/js/{name}": (name, "text/javascript; charset=utf-8", "public, max-age=3600")
        for name in ("pulse.js", "pulse-debug.js")
    },
}


def test_the_tracker_is_under_1600_bytes_compressed() -> None:
    assert len(gzip.compress((STATIC / "pulse.js").read_bytes(), 9, mtime=0)) < 1_600


def test_the_live_page_is_under_120_kilobytes_with_all_its_files() -> None:
    assert sum(path.stat().st_size for path in STATIC.rglob("*.*") if not path.name.startswith("pulse")) < 120_000


def test_every_module_of_the_live_page_is_served_preloaded_and_short() -> None:
    page, modules = (STATIC / "index.html").read_text(), {path.name for path in (STATIC / "live").iterdir()}
    assert {name.removeprefix("/live/") for name in FILES if name.startswith("/live/")} == modules
    assert set(re.findall(r'rel="modulepreload" href="live/([^"]+)"', page)) == modules
    for path in (STATIC / "live.js", *(STATIC / "live").iterdir()):
        assert len(path.read_text().splitlines()) < 300, path.name


@pytest.mark.parametrize("name", ["index.html", "embed.html"])
def test_a_page_names_no_other_host_and_has_nothing_inline(name: str) -> None:
    page = (STATIC / name).read_text()
    assert "<style" not in page
    assert "style=" not in page
    assert "://" not in page
    assert page.count("<script") == page.count('<script type="module" src=') == 1


@pytest.mark.any_engine
@pytest.mark.parametrize("path", FILES)
async def test_a_file_is_served_whole_once_and_revalidated_afterwards(api: Api, path: str) -> None:
    name, media_type, cache_control = FILES[path]
    response = await api.get(path)
    assert response.status_code == 200
    assert response.content == (STATIC / name).read_bytes()
    assert response.headers["content-type"] == media_type
    assert response.headers["cache-control"] == cache_control
    assert response.headers["x-content-type-options"] == "nosniff"
    etag = response.headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = await api.get(path, **{"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert again.headers["cache-control"] == cache_control
    assert (await api.get(path, **{"If-None-Match": '"other"'})).status_code == 200
    head = await api.client.head(path)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", etag)
    assert head.headers["content-length"] == str(len(response.content))


@pytest.mark.any_engine
@pytest.mark.parametrize(("path", "ancestors"), [("/?siteId=site_a", "'none'"), ("/embed?siteId=site_a", "*")])
async def test_a_page_carries_a_strict_policy_and_one_alone_may_be_framed(api: Api, path: str, ancestors: str) -> None:
    headers = (await api.get(path)).headers
    policy = dict(rule.partition(" ")[::2] for rule in headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": ancestors,
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert headers["referrer-policy"] == "no-referrer"


async def test_any_site_may_load_the_tracker_in_any_version(api: Api) -> None:
    plain, versioned = await api.get("/js/pulse.js"), await api.get("/js/pulse.js?v=7")
    assert plain.headers["access-control-allow-origin"] == "*"
    assert plain.headers["cross-origin-resource-policy"] == "cross-origin"
    assert (versioned.content, versioned.headers) == (plain.content, plain.headers)


async def pixel(api: Api, query: str, **headers: str) -> Any:
    return await api.get(f"/api/track.gif{query}", **{"User-Agent": BROWSER, **headers})


@pytest.mark.parametrize(
    ("query", "referer", "page"),
    [
        ("&path=/pricing", "https://example.com/other", "/pricing"),
        ("", "https://example.com/docs/start?x=1", "/docs/start"),
        ("&path=", "https://example.com/", "/"),
        ("", "", "/"),
    ],
)
async def test_the_pixel_counts_a_pageview(api: Api, query: str, referer: str, page: str) -> None:
    response = await pixel(api, f"?siteId=site_a{query}", **({"Referer": referer} if referer else {}))
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/gif"
    assert response.headers["cache-control"] == "no-store"
    assert response.content[:10] == b"GIF89a\x01\x00\x01\x00"
    answer = await api.realtime()
    assert (answer["pageviewsLast5Min"], answer["pageBreakdown"]) == (1, {page: 1})


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("query", "headers", "status", "error"),
    [
        ("", {}, 400, "Site ID required"),
        ("?siteId=", {}, 400, "Site ID required"),
        ("?siteId=%20", {}, 400, "Site ID required"),
        ("?siteId=site_a&siteId=site_b", {}, 400, "Site ID required"),
        ("?siteId=nobody", {}, 404, "Invalid site ID"),
        ("?siteId=site_a", {"Origin": "https://elsewhere.example"}, 403, "Origin not allowed"),
        ("?siteId=site_a&path=/a%00b", {}, 400, "path: control characters are not allowed"),
    ],
)
async def test_the_pixel_refuses_what_track_refuses(
    api: Api, query: str, headers: dict[str, str], status: int, error: str
) -> None:
    response = await pixel(api, query, **headers)
    assert (response.status_code, response.json()) == (status, {"error": error})
    assert (await api.realtime())["pageviewsLast5Min"] == 0


async def test_the_pixel_counts_no_bots(api: Api) -> None:
    response = await pixel(api, "?siteId=site_a", **{"User-Agent": "Googlebot/2.1 (+http://www.google.com/bot.html)"})
    assert response.status_code == 200
    assert (await api.realtime())["pageviewsLast5Min"] == 0

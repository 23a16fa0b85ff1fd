"""POST /api/realtime/batch: the realtime answers of many sites in one call."""

import asyncio
from typing import Any

import msgspec
from litestar import Response, post
from litestar.handlers import HTTPRouteHandler

from app.domain.errors import SiteIdRequired, TooLarge
from app.domain.json_bodies import read_json
from app.domain.realtime import RealtimeAnswer
from app.http.answers import EVERY_ANSWER, VARIES, answer_long_json
from app.http.bodies import Bodies
from app.http.caller import Callers, Request
from app.http.openapi import TOKEN, answer, described, refusals
from app.http.preflight import allow_preflight
from app.store.store import Store

MAX_SITES = 1_000


class Asked(msgspec.Struct, frozen=True, rename="camel"):
    """The sites asked for."""

    site_ids: list[str] = msgspec.field(default_factory=list)


ASKED: dict[str, Any] = {
    "type": "object",
    "required": ["siteIds"],
    "properties": {
        "siteIds": {
            "type": "array",
            "description": f"The sites, at most {MAX_SITES:,}, else 413; one that is named twice is answered once.",
            "items": {"type": "string", "pattern": r"\S"},
            "minItems": 1,
        }
    },
}
ANSWERS: dict[str, Any] = {
    "type": "object",
    "required": ["answers"],
    "properties": {
        "answers": {
            "type": "object",
            "description": "By site, in the order asked; each is what `GET /api/realtime` answers.",
            "additionalProperties": RealtimeAnswer,
        }
    },
}
BATCH = described(
    "Live visitor data of many sites",
    {200: answer("The answers", ANSWERS, {**EVERY_ANSWER, **VARIES}), **refusals(400, 401, 403, 408, 413, 429, 503)},
    security=TOKEN,
    requestBody={"required": True, "content": {"application/json": {"schema": ASKED}}},
)


def batch_handlers(store: Store, callers: Callers, bodies: Bodies) -> list[HTTPRouteHandler]:
    @post("/api/realtime/batch", status_code=200, opt=BATCH)
    async def post_realtime_batch(request: Request) -> Response[bytes]:
        """Return live data of each of the sites, as `GET /api/realtime` does; of all of them or of none."""
        async with bodies.read(request) as body:
            caller = callers.authenticate(request)
            site_ids = required_site_ids(body)
        sites = [caller.readable(site_id) for site_id in site_ids]
        caller.spend(len(sites) - 1)  # one is counted
        # So many polls that arrived together: they share statements, among themselves and with others.
        answers = await asyncio.gather(*(store.reads.of(site.tenant, site.id) for site in sites))
        by_site = {site.id: msgspec.Raw(text) for site, text in zip(sites, answers, strict=True)}
        return await answer_long_json(request, msgspec.json.encode({"answers": by_site}))

    return [
        allow_preflight("/api/realtime/batch", "POST, OPTIONS", "Authorization, Content-Type"),
        post_realtime_batch,
    ]


def required_site_ids(body: bytes) -> list[str]:
    """The sites of a body, each once, in their order. Raises InvalidRequest, SiteIdRequired or TooLarge."""
    given = read_json(body, Asked).site_ids
    if len(given) > MAX_SITES:
        raise TooLarge(f"siteIds: at most {MAX_SITES} sites in one request")
    if not given or not all(site_id.strip() for site_id in given):
        raise SiteIdRequired
    return list(dict.fromkeys(given))

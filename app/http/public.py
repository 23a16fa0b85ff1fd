"""What a public key is for: the numbers of one site, as JSON and as a badge."""

from http import HTTPStatus

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from app.domain.errors import Refusal
from app.domain.realtime import NumbersAnswer
from app.http.answers import EVERY_ANSWER, Answer, answer_json, status_of
from app.http.caller import Caller, Callers, Request, required_site_id
from app.http.openapi import HEADERS_OF_AN_ERROR, SITE_ID, TOKEN, answer, described, parameter, refusals
from app.http.preflight import allow_preflight
from app.http.static import FROM_ANY_SITE
from app.store.store import Store

PATH = "/api/realtime/numbers"
SVG = "image/svg+xml"
# Opened by itself it is a document; it needs nothing, and no frame around it.
BADGE_HEADERS = {
    **EVERY_ANSWER,
    **FROM_ANY_SITE,
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
LABEL, LABEL_PX = "visitors now", 90
KNOWN, UNKNOWN = "#a8430a", "#6b6b6b"
BADGE = """<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{label}: {value}">
<title>{label}: {value}</title>
<clipPath id="r"><rect width="{width}" height="20" rx="4"/></clipPath>
<g clip-path="url(#r)"><path fill="#1d1b18" d="M0 0h{left}v20H0z"/>
<path fill="{colour}" d="M{left} 0h{right}v20H{left}z"/></g>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">
<text x="{left_middle}" y="14" textLength="{left_text}">{label}</text>
<text x="{right_middle}" y="14" font-weight="bold" textLength="{right_text}">{value}</text>
</g></svg>
"""

NUMBERS = described(
    "How many visitors a site has now",
    {200: answer("The numbers", NumbersAnswer), **refusals(400, 401, 403, 429, 503)},
    security=TOKEN,
    parameters=[SITE_ID],
)


def _badge_of_error(status: HTTPStatus) -> dict[str, object]:
    told = answer(f"{status.phrase}: a grey badge, `unknown`", {"type": "string"}, BADGE_HEADERS, SVG)
    return {**told, "headers": {**told["headers"], **HEADERS_OF_AN_ERROR.get(status, {})}}


BADGE_SVG = described(
    "How many visitors a site has now, as a picture",
    {
        200: answer("The badge", {"type": "string"}, BADGE_HEADERS, SVG),
        **{status: _badge_of_error(HTTPStatus(status)) for status in (400, 401, 403, 429, 503)},
        **refusals(),
    },
    parameters=[SITE_ID, parameter("key", "A token of scope `public`; no other", required=True)],
)


def public_handlers(store: Store, callers: Callers) -> list[HTTPRouteHandler]:
    async def numbers_of(caller: Caller, request: Request) -> NumbersAnswer:
        site = caller.countable(required_site_id(request))
        async with caller.turn():
            return msgspec.json.decode(await store.reads.of(site.tenant, site.id), type=NumbersAnswer)

    @get(PATH, opt=NUMBERS)
    async def get_realtime_numbers(request: Request) -> Response[bytes]:
        """Return the numbers of `GET /api/realtime` alone, which a public key may read: no pages, no pageviews."""
        return answer_json(msgspec.json.encode(await numbers_of(callers.authenticate(request), request)))

    @get("/badge.svg", opt=BADGE_SVG)
    async def get_badge(request: Request) -> Response[bytes]:
        """Draw the number of active visitors, as it is when it is asked for. An error is a badge too."""
        try:
            numbers = await numbers_of(callers.authenticate_by_address(request), request)
        except Refusal as refusal:
            status, headers = status_of(refusal)
            return Answer(draw_badge("unknown", UNKNOWN), SVG, {**BADGE_HEADERS, **headers}, status=status)
        return Answer(draw_badge(f"{numbers.active_visitors:,}", KNOWN), SVG, BADGE_HEADERS)

    return [allow_preflight(PATH, "GET, OPTIONS", "Authorization"), get_realtime_numbers, get_badge]


def draw_badge(value: str, colour: str) -> bytes:
    """A badge of a width that fits its value, in whatever font there is."""
    text_px = 8 * len(value)
    right = text_px + 14
    return BADGE.format(
        label=LABEL,
        value=value,
        colour=colour,
        width=LABEL_PX + right,
        left=LABEL_PX,
        right=right,
        left_middle=LABEL_PX / 2,
        right_middle=LABEL_PX + right / 2,
        left_text=LABEL_PX - 16,
        right_text=text_px,
    ).encode()

"""All sites of a token at a glance: the shapes of the answer, for the service that makes it and the clients."""

from typing import Annotated

import msgspec

from app.domain.realtime import Count, Instant

MAX_LIMIT = 1_000


class SiteNow(msgspec.Struct, frozen=True, rename="camel"):
    """A site at a glance; the numbers are those of its realtime answer."""

    site_id: str
    domain: Annotated[str, msgspec.Meta(description="The site's first domain.")]
    name: str
    active_visitors: Count
    pageviews_last5_min: Count = msgspec.field(name="pageviewsLast5Min")
    visitors_per_minute: Annotated[
        tuple[Count, ...], msgspec.Meta(min_length=5, max_length=5, description="Oldest minute first.")
    ]


class Total(msgspec.Struct, frozen=True, rename="camel"):
    """Over all sites of the token, also those that `limit` cuts off."""

    sites: Count
    sites_with_visitors: Count
    active_visitors: Annotated[Count, msgspec.Meta(description="Somebody on two sites counts on each.")]
    pageviews_last5_min: Count = msgspec.field(name="pageviewsLast5Min")


class OverviewAnswer(msgspec.Struct, frozen=True):
    """All sites of the token, busiest first."""

    sites: Annotated[list[SiteNow], msgspec.Meta(max_length=MAX_LIMIT)]
    total: Total
    timestamp: Annotated[Instant, msgspec.Meta(description="The instant that all numbers speak of, whole seconds.")]

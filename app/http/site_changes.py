"""A tenant's own sites: added, changed and removed by whoever has an admin key of it."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.handlers import HTTPRouteHandler

from app.domain.errors import InvalidRequest, NotFound, TooLarge
from app.domain.json_bodies import read_json
from app.domain.sites import MAX_DOMAINS, NAME_MAX_CHARACTERS, Site, change_site, make_site
from app.http.answers import answer_json
from app.http.bodies import Bodies
from app.http.caller import Caller, Callers, Request
from app.http.changes import (
    HEADERS,
    Instant,
    answer_nothing,
    by_the_rules,
    json_body,
    note,
    require_admin_of_tenant,
    whole_seconds,
)
from app.http.openapi import TOKEN, answer, described, parameter, refusals
from app.http.preflight import allow_preflight
from app.http.sites import ListedSite
from app.store.store import Store
from app.store.tenant_rows import SiteRow

MAX_NEW_SITES = 1_000

Domains = Annotated[
    list[str], msgspec.Meta(min_length=1, max_length=MAX_DOMAINS, description="Host names, without port and path.")
]
Name = Annotated[str, msgspec.Meta(description=f"For people; 1 to {NAME_MAX_CHARACTERS} characters.")]


class NewSite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A site to add."""

    domains: Domains
    name: Annotated[Name | None, msgspec.Meta(description="The first domain if not given.")] = None
    id: Annotated[str | None, msgspec.Meta(description="1 to 64 letters, digits, - and _; made up if not given.")] = (
        None
    )


class NewSites(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sites to add, all or none."""

    sites: Annotated[list[NewSite], msgspec.Meta(min_length=1)]


class _Form(msgspec.Struct, frozen=True):
    """The field that tells several sites from one."""

    sites: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class SiteChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be changed of a site; what is not given stays."""

    domains: Domains | None = None
    name: Name | None = None


class ManagedSite(ListedSite, frozen=True, rename="camel"):
    """A site as its tenant's admin sees it."""

    created_at: Instant


class ManagedSites(msgspec.Struct, frozen=True):
    """The sites that were added, in the order given."""

    sites: list[ManagedSite]


SITE = [parameter("id", "The site", place="path", required=True)]
ADDED: dict[str, Any] = {"anyOf": [ManagedSite, ManagedSites]}


def site_change_handlers(store: Store, callers: Callers, bodies: Bodies) -> list[HTTPRouteHandler]:
    """The handlers of a tenant's sites, but for `GET /api/sites`."""
    admin = store.administration

    @post(
        "/api/sites",
        opt=described(
            "Add one site or several",
            {201: answer("Added", ADDED), **refusals(400, 401, 403, 408, 409, 413, 429, 503)},
            security=TOKEN,
            requestBody=json_body({"anyOf": [NewSite, NewSites]}),
        ),
    )
    async def post_sites(request: Request) -> Response[bytes]:
        """Add a site to the tenant, or up to 1,000 at once: all of them or none."""
        async with bodies.read(request) as body:
            caller = callers.authenticate(request)
            sites, are_several = read_new_sites(body, caller.key.tenant)
        require_admin_of_tenant(caller)
        added = list(map(_managed_site, await admin.add_sites(sites)))
        note(caller, "POST /api/sites", *(site.id for site in added))
        return answer_json(msgspec.json.encode(ManagedSites(added) if are_several else added[0]), HTTPStatus.CREATED)

    @get(
        "/api/sites/{id:str}",
        opt=described(
            "A site",
            {200: answer("The site", ManagedSite), **refusals(401, 403, 404, 429, 503)},
            security=TOKEN,
            parameters=SITE,
        ),
    )
    async def get_site(request: Request) -> Response[bytes]:
        """Return a site of the tenant."""
        caller = callers.authenticate(request)
        caller.key.require_scope("admin")
        row = await admin.find_site(caller.key.tenant, _site_of_path(request, caller))
        return answer_json(msgspec.json.encode(_managed_site(row)))

    @patch(
        "/api/sites/{id:str}",
        opt=described(
            "Change a site",
            {200: answer("The site as it is now", ManagedSite), **refusals(400, 401, 403, 404, 408, 413, 429, 503)},
            security=TOKEN,
            parameters=SITE,
            requestBody=json_body(SiteChange),
        ),
    )
    async def patch_site(request: Request) -> Response[bytes]:
        """Change the domains or the name of a site; what is not given stays."""
        async with bodies.read(request) as body:
            caller = callers.authenticate(request)
            change = read_json(body, SiteChange)
        if change.domains is None and change.name is None:
            raise InvalidRequest("body: give domains or name")
        # Before access is looked at, as every parameter; on a site that is nobody's.
        with by_the_rules():
            change_site(Site("", "", ("example.com",), ""), change.domains, change.name)
        caller.key.require_scope("admin")
        site_id = _site_of_path(request, caller)
        row = await admin.change_site(caller.key.tenant, site_id, change.domains, change.name)
        note(caller, "PATCH /api/sites", site_id)
        return answer_json(msgspec.json.encode(_managed_site(row)))

    @delete(
        "/api/sites/{id:str}",
        status_code=204,
        opt=described(
            "Remove a site",
            {204: answer("Removed"), **refusals(401, 403, 404, 429, 503)},
            security=TOKEN,
            parameters=SITE,
        ),
    )
    async def delete_site(request: Request) -> Response[None]:
        """Remove a site; what was counted on it is deleted too, in the background."""
        caller = callers.authenticate(request)
        caller.key.require_scope("admin")
        site_id = _site_of_path(request, caller)
        await admin.remove_site(caller.key.tenant, site_id)
        note(caller, "DELETE /api/sites", site_id)
        return answer_nothing()

    return [
        allow_preflight("/api/sites", "GET, POST, OPTIONS", HEADERS),
        allow_preflight("/api/sites/{id:str}", "GET, PATCH, DELETE, OPTIONS", HEADERS, name="site"),
        post_sites,
        get_site,
        patch_site,
        delete_site,
    ]


def read_new_sites(body: bytes, tenant: str) -> tuple[Sequence[Site], bool]:
    """The sites of a body, and whether they came as a list. Raises InvalidRequest naming the field, or TooLarge."""
    if read_json(body, _Form).sites is msgspec.UNSET:
        return [_make_site(read_json(body, NewSite), tenant)], False
    given = read_json(body, NewSites).sites
    if len(given) > MAX_NEW_SITES:
        raise TooLarge(f"sites: at most {MAX_NEW_SITES} in one request")
    sites = [_make_site(site, tenant, f"sites[{number}].") for number, site in enumerate(given)]
    first: dict[str, int] = {}
    for number, site in enumerate(sites):
        if first.setdefault(site.id, number) != number:
            raise InvalidRequest(f"sites[{number}].id: the same as sites[{first[site.id]}].id")
    return sites, True


def _make_site(new: NewSite, tenant: str, where: str = "") -> Site:
    with by_the_rules(where):
        return make_site(tenant, new.domains, new.name, new.id)


def _site_of_path(request: Request, caller: Caller) -> str:
    """The site of the path. Raises NotFound for another one than the key is bound to."""
    site_id = str(request.path_params["id"])
    if caller.key.site_id not in ("", site_id):
        raise NotFound
    return site_id


def _managed_site(row: SiteRow) -> ManagedSite:
    return ManagedSite(row.id, row.domains[0], row.domains, row.name, whole_seconds(row.created_at))

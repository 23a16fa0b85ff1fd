"""A tenant's own API keys: made and revoked by whoever has an admin key of it."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import Response, delete, get, post
from litestar.handlers import HTTPRouteHandler

from app.domain.errors import NotFound
from app.domain.json_bodies import read_json
from app.domain.keys import MAX_EXPIRY_DAYS, Scope, clean_expiry, require_site_of_public
from app.http.answers import answer_json
from app.http.bodies import Bodies
from app.http.caller import Callers, Request
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
from app.store.store import Store
from app.store.tenant_rows import ApiKeyRow


class NewKey(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A key to make."""

    scope: Scope
    site_id: Annotated[str | None, msgspec.Meta(description="Binds the key to this site; required for `public`.")] = (
        None
    )
    expires_in_days: Annotated[
        int | None, msgspec.Meta(description=f"1 to {MAX_EXPIRY_DAYS}; for ever if not given.")
    ] = None


class ManagedKey(msgspec.Struct, frozen=True, rename="camel"):
    """A key as its tenant's admin sees it; never its token."""

    id: str
    scope: Scope
    site_id: Annotated[str | None, msgspec.Meta(description="The one site that it is bound to.")]
    created_at: Instant
    expires_at: Instant | None
    revoked_at: Instant | None


class ManagedKeys(msgspec.Struct, frozen=True):
    """The keys of the tenant, oldest first, revoked and expired ones included."""

    keys: list[ManagedKey]


class CreatedKey(ManagedKey, frozen=True, rename="camel"):
    """A new key with its token, which is shown this once."""

    token: str


KEY = [parameter("id", "The key", place="path", required=True)]


def key_handlers(store: Store, callers: Callers, bodies: Bodies) -> list[HTTPRouteHandler]:
    admin = store.administration

    @get(
        "/api/keys",
        opt=described(
            "The keys", {200: answer("The keys", ManagedKeys), **refusals(401, 403, 429, 503)}, security=TOKEN
        ),
    )
    async def get_keys(request: Request) -> Response[bytes]:
        """Return the keys of the tenant, oldest first, revoked and expired ones included."""
        caller = callers.authenticate(request)
        require_admin_of_tenant(caller)
        keys = list(map(_managed_key, await admin.list_keys(caller.key.tenant)))
        return answer_json(msgspec.json.encode(ManagedKeys(keys)))

    @post(
        "/api/keys",
        opt=described(
            "Make a key",
            {201: answer("Made", CreatedKey), **refusals(400, 401, 403, 404, 408, 413, 429, 503)},
            security=TOKEN,
            requestBody=json_body(NewKey),
        ),
    )
    async def post_keys(request: Request) -> Response[bytes]:
        """Make a key of the tenant. The answer is the only place where its token is ever shown."""
        async with bodies.read(request) as body:
            caller = callers.authenticate(request)
            new = read_json(body, NewKey)
        with by_the_rules():
            days = clean_expiry(new.expires_in_days)
            require_site_of_public(new.scope, new.site_id or "")
        require_admin_of_tenant(caller)
        if new.site_id == "":
            raise NotFound
        row, token = await admin.create_key(caller.key.tenant, new.scope, new.site_id or "", days)
        note(caller, "POST /api/keys", row.id)
        made = CreatedKey(**msgspec.structs.asdict(_managed_key(row)), token=token)
        return answer_json(msgspec.json.encode(made), HTTPStatus.CREATED)

    @delete(
        "/api/keys/{id:str}",
        status_code=204,
        opt=described(
            "Revoke a key",
            {204: answer("Revoked, now or before"), **refusals(401, 403, 404, 429, 503)},
            security=TOKEN,
            parameters=KEY,
        ),
    )
    async def delete_key(request: Request) -> Response[None]:
        """Revoke a key; every worker refuses it within 5 s."""
        caller = callers.authenticate(request)
        require_admin_of_tenant(caller)
        key_id = str(request.path_params["id"])
        await admin.revoke_key(caller.key.tenant, key_id)
        note(caller, "DELETE /api/keys", key_id)
        return answer_nothing()

    return [
        allow_preflight("/api/keys", "GET, POST, OPTIONS", HEADERS),
        allow_preflight("/api/keys/{id:str}", "DELETE, OPTIONS", HEADERS, name="key"),
        get_keys,
        post_keys,
        delete_key,
    ]


def _managed_key(row: ApiKeyRow) -> ManagedKey:
    return ManagedKey(
        row.id,
        row.scope,  # type: ignore[arg-type]  # an Enum8 of the table
        row.site_id or None,
        whole_seconds(row.created_at),
        row.expires_at and whole_seconds(row.expires_at),
        row.revoked_at and whole_seconds(row.revoked_at),
    )

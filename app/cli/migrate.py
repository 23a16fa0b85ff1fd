"""`pulsehouse migrate`: brings the database to this version's schema."""

import rich_click as click

from app.cli.database import with_store
from app.cli.output import as_json_option, print_json
from app.store.store import Store


@click.command()
@as_json_option
def migrate(as_json: bool) -> None:
    """Create the database where it is missing and apply new migrations. Safe to run at any time."""

    async def work(store: Store) -> list[str]:
        await store.warn_of_version()
        return store.applied

    applied = with_store(work)
    if as_json:
        print_json({"applied": applied})
    else:
        click.echo("\n".join(f"applied {name}" for name in applied) or "nothing to do, the schema is up to date")

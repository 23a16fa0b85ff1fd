"""HTTP: checks, one call into the store, one reshape. The only part that knows Litestar."""

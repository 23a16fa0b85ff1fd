"""ClickHouse: the only part that speaks to it. Imports app/domain, never app/http."""

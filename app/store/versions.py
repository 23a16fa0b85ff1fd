"""Versions of ClickHouse that are known to be wrong for what the service does."""

from collections.abc import Mapping

Version = tuple[int, ...]

# An INSERT through a view that makes fewer rows, into a partitioned table that deduplicates (visitor_minutes), reads
# out of bounds: https://github.com/ClickHouse/ClickHouse/pull/111049, fixed by
# https://github.com/ClickHouse/ClickHouse/pull/112649.
# By release: the first version that is wrong, and the one to take; 26.3 and 26.4 have none that is right again.
READS_OUT_OF_BOUNDS: Mapping[Version, tuple[Version, Version]] = {
    (26, 3): ((26, 3, 17, 65), (26, 5, 7, 20)),
    (26, 4): ((26, 4, 5, 151), (26, 5, 7, 20)),
    (26, 5): ((26, 5, 6, 63), (26, 5, 7, 20)),
    (26, 6): ((26, 6, 2, 98), (26, 6, 3, 19)),
    (26, 7): ((26, 7), (26, 7, 3, 9)),
}


# The table function mergeTreeIndex shows keys of rows that a policy hides: the first fixed version of each release, by
# https://github.com/ClickHouse/ClickHouse/pull/115304. Older and unlisted releases before 26.8 have no fix.
SHOWS_HIDDEN_KEYS: Mapping[Version, Version] = {
    (26, 3): (26, 3, 22, 6),
    (26, 5): (26, 5, 8, 18),
    (26, 6): (26, 6, 4, 10),
    (26, 7): (26, 7, 6, 5),
}
SHOWS_NO_HIDDEN_KEYS_FROM: Version = (26, 8)


def shows_hidden_keys(version: str) -> str | None:
    """What an analyst can see of other tenants on a version of ClickHouse, and which to take; None where nothing."""
    numbers = _numbers(version)
    fixed = SHOWS_HIDDEN_KEYS.get(numbers[:2], SHOWS_NO_HIDDEN_KEYS_FROM)
    if numbers >= fixed:
        return None
    return (
        f"on ClickHouse {version.strip()} mergeTreeIndex shows analysts the site ids of other tenants "
        f"(ClickHouse#115304); take {'.'.join(map(str, fixed))} or later"
    )


def _numbers(version: str) -> Version:
    return tuple(int(part) for part in version.strip().split(".") if part.isdecimal())


def what_is_wrong(version: str) -> str | None:
    """What is known against a version of ClickHouse, and which to take; None where nothing is known."""
    numbers = _numbers(version)
    wrong_from, take = READS_OUT_OF_BOUNDS.get(numbers[:2], ((), ()))
    if wrong_from <= numbers < take:
        return (
            f"ClickHouse {version.strip()} may crash or store wrong minute buckets in an INSERT (ClickHouse#111049); "
            f"take {'.'.join(map(str, take))} or later"
        )
    return None

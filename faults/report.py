"""Shows the account of a run as two tables, in Markdown: the whole run, and each trial beside the quiet one."""

from collections import Counter

from rich import box
from rich.console import Console
from rich.table import Table

from faults.account import Account, Tally

WRONG_SHOWN = 8


def show(title: str, account: Account, *, back_seconds: list[float], happened: dict[str, str]) -> None:
    """Print what happened, what was counted, and which promises were broken."""
    console = Console(width=150)
    console.print(title)
    whole = Table(box=box.MARKDOWN, show_header=False)
    for row in _whole_rows(account, back_seconds, happened):
        whole.add_row(*row)
    console.print(whole)
    trials = Table(box=box.MARKDOWN)
    trials.add_column("")
    for name in (*account.trials, "whole run"):
        trials.add_column(name, justify="right")
    columns = [_trial_column(tally) for tally in (*account.trials.values(), account.whole)]
    for label in columns[0]:
        trials.add_row(label, *[column[label] for column in columns])
    console.print(trials)
    for text, count in Counter(account.whole.wrong).most_common(WRONG_SHOWN):
        console.print(f"wrong: {count} x {text}", markup=False)
    if account.broken:
        console.print(f"BROKEN: {'; '.join(account.broken)}", markup=False)


def _whole_rows(account: Account, back_seconds: list[float], happened: dict[str, str]) -> list[tuple[str, str]]:
    whole = account.whole
    by_status = Counter(str(poll.status) if poll.status else "no answer" for poll in whole.polls)
    return [
        *happened.items(),
        ("signals sent", f"{whole.sent.total():,}"),
        *((_answered(status), f"{count:,}") for status, count in sorted(whole.sent.items())),
        ("sent again under an Idempotency-Key", f"{whole.again.total():,}"),
        ("  then answered 200", f"{whole.again['200']:,}"),
        ("stored", f"{account.stored:,}"),
        ("acknowledged but missing (must be 0)", f"{whole.missing:,}"),
        ("stored twice (must be 0)", f"{whole.twice:,}"),
        ("refused but stored (must be 0)", f"{whole.refused_but_stored:,}"),
        ("minute buckets minus signals (must be 0)", f"{account.difference:,}"),
        *_of_others(whole),
        ("polls", f"{len(whole.polls):,}"),
        ("  wrong answers (must be 0)", f"{len(whole.wrong):,}"),
        *((_answered(status), f"{count:,}") for status, count in sorted(by_status.items())),
        ("ClickHouse back to first 200, longest (s)", f"{max(back_seconds, default=0):.1f}"),
        ("SIGTERM to exit, longest (s)", f"{max(whole.stop_seconds, default=0):.1f}"),
        ("exit codes after SIGTERM", ", ".join(f"{count} x {code}" for code, count in whole.stop_codes.items())),
    ]


def _of_others(whole: Tally) -> list[tuple[str, str]]:
    """What became of the sites of living shards, where there are shards."""
    if not whole.others:
        return []
    return [
        ("signals and polls of sites whose shard was there, another not", f"{whole.others:,}"),
        ("  refused though their shard was there (must be 0)", f"{whole.needless:,}"),
    ]


def _answered(status: str) -> str:
    return f"  {status}" if status == "no answer" else f"  answered {status}"


def _trial_column(tally: Tally) -> dict[str, str]:
    statuses = Counter(poll.status for poll in tally.polls)
    answered, refused, unanswered = statuses.pop(200, 0), statuses.pop(503, 0), statuses.pop(0, 0)
    return {
        "signals sent": f"{tally.sent.total():,}",
        "acknowledged": f"{tally.sent['200']:,}",
        "acknowledged but missing (must be 0)": f"{tally.missing:,}",
        "stored twice (must be 0)": f"{tally.twice:,}",
        "refused but stored (must be 0)": f"{tally.refused_but_stored:,}",
        "wrong answers (must be 0)": f"{len(tally.wrong):,}",
        "memory of a worker, highest (MB)": f"{tally.memory_mb:,.0f}",
        "  its bound (MB)": f"{tally.bound_mb:,.0f}",
        "others' polls, p50 (ms)": f"{tally.poll_ms(0.5):,.0f}",
        "  p95 (ms)": f"{tally.poll_ms(0.95):,.0f}",
        "  p99 (ms)": f"{tally.poll_ms(0.99):,.0f}",
        "  answered 200": f"{answered:,}",
        "  refused 503": f"{refused:,}",
        "  refused otherwise": f"{statuses.total():,}",
        "  no answer": f"{unanswered:,}",
        "then every worker commits, after (s)": f"{tally.well_seconds:.1f}".replace("inf", "never"),
        "SIGTERM to exit, longest (s)": f"{max(tally.stop_seconds, default=0):.1f}",
    }

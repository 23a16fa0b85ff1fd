"""What became of every signal and poll: counted for each trial and for the whole run."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from app.settings import Settings
from faults.attacks import LARGE_SITE
from faults.breaks import FAULTS, Break
from faults.ground import Ground
from faults.traffic import SITES, Polled, Sent, Traffic

COPIES = 2
"""Bytes are held at most so often: a body as its pieces and whole, rows as they wait and in the INSERT."""

CONNECTION_BYTES = 65_536
"""What a connection takes beside a body: buffers of granian and of Python, an answer that is not read."""

WORK_BYTES = 64 * 1_048_576
"""The signals of the requests at work, what is remembered of User-Agents and addresses, and what malloc keeps."""


@dataclass
class Tally:
    """What came of a trial."""

    sent: Counter[str] = field(default_factory=Counter)
    """Signals by status."""
    again: Counter[str] = field(default_factory=Counter)
    """Of them those that were sent more than once, under an Idempotency-Key, by the status of the last attempt."""
    missing: int = 0
    twice: int = 0
    refused_but_stored: int = 0
    wrong: list[str] = field(default_factory=list)
    others: int = 0
    """Signals and polls, on shards, of sites whose own shard was there while another one was not."""
    needless: int = 0
    """Of these those that were refused or not answered."""
    polls: list[Polled] = field(default_factory=list)
    memory_mb: float = 0.0
    bound_mb: float = 0.0
    well_seconds: float = 0.0
    """From the end of the trial until every worker committed signals; inf: not seen."""
    stop_seconds: list[float] = field(default_factory=list)
    stop_codes: Counter[int] = field(default_factory=Counter)

    @property
    def broken(self) -> list[str]:
        """The promises that did not hold."""
        held = {
            "acknowledged but missing": not self.missing,
            "stored twice": not self.twice,
            "refused but stored": not self.refused_but_stored,
            "wrong answers": not self.wrong,
            "refused though its shard was there": not self.needless,
            "memory bound": self.memory_mb <= self.bound_mb,
            "committing again": self.well_seconds < math.inf,
            "exit code": not self.stop_codes.keys() - {0},
        }
        return [promise for promise, holds in held.items() if not holds]

    def poll_ms(self, quantile: float) -> float:
        """Milliseconds within which this share of the polls had an answer, a refusal, or none at all."""
        seconds = sorted(poll.seconds for poll in self.polls)
        return 1000 * seconds[min(len(seconds) - 1, int(quantile * len(seconds)))] if seconds else 0.0


@dataclass
class Account:
    """The tallies of the trials, that of the whole run, and what is known of the whole run alone."""

    trials: dict[str, Tally]
    whole: Tally
    stored: int
    difference: int
    """Pageviews in the minute buckets minus those among the signals."""

    @property
    def broken(self) -> list[str]:
        found = [f"{name}: {promise}" for name, tally in self.trials.items() for promise in tally.broken]
        between = [promise for promise in self.whole.broken if not any(promise in one for one in found)]
        return [*found, *between, *(["minute buckets minus signals"] if self.difference else [])]


def account(
    ground: Ground,
    traffic: Traffic,
    trials: Iterable[str],
    memory_mb: dict[str, float],
    bounds_mb: dict[str, float],
    well_seconds: dict[str, float],
    stops: Iterable[tuple[str, int, float]],
    breaks: Sequence[Break],
) -> Account:
    """Look for each mark in all that ClickHouse has."""
    stored = _summed(ground.query("stored", {"large": LARGE_SITE}))
    in_feed = _summed(ground.query("in_feed", {"large": LARGE_SITE}))
    difference = sum(int(in_minutes) - int(in_signals) for in_minutes, in_signals in ground.query("in_minutes"))
    found = {name: Tally() for name in trials}
    whole = Tally(memory_mb=max(memory_mb.values(), default=0.0), bound_mb=max(bounds_mb.values(), default=0.0))
    whole.well_seconds = max(well_seconds.values())
    between = Tally()  # restarts, when nobody's doing is measured; counts for the whole
    for sent in traffic.sent:
        for tally in (found.get(sent.trial, between), whole):
            _count(tally, sent, stored, in_feed)
    for poll in traffic.polls:
        for tally in (found.get(poll.trial, between), whole):
            tally.polls.append(poll)
    for trial, what in traffic.wrong:
        for tally in (found.get(trial, between), whole):
            tally.wrong.append(what)
    for trial, code, seconds in stops:
        for tally in (found.get(trial, between), whole):
            tally.stop_codes[code] += 1
            tally.stop_seconds.append(seconds)
    if ground.shards > 1 and FAULTS in found:
        for tally in (found[FAULTS], whole):
            tally.others, tally.needless = _others(ground, traffic, breaks)
    for trial, tally in found.items():
        tally.memory_mb, tally.bound_mb = memory_mb.get(trial, 0.0), bounds_mb.get(trial, 0.0)
        tally.well_seconds = well_seconds[trial]
    return Account(found, whole, sum(stored.values()), difference)


def _others(ground: Ground, traffic: Traffic, breaks: Sequence[Break]) -> tuple[int, int]:
    """How many signals and polls were of sites whose shard was there while another was not, and how many in vain."""
    asked = [
        (sent.site_id, sent.keyed, sent.sent_at, sent.ended_at, sent.status)
        for sent in traffic.sent
        if sent.trial == FAULTS and sent.site_id in SITES
    ]
    asked += [
        (poll.site_id, False, poll.sent_at, poll.sent_at + poll.seconds, poll.status)
        for poll in traffic.polls
        if poll.trial == FAULTS
    ]
    others = needless = 0
    for site_id, keyed, since, until, status in asked:
        # What a request with an Idempotency-Key needs first is on the first shard.
        needed = {ground.shard_of(site_id), *([0] if keyed else [])}
        if any(broken.explains(needed, since, until) for broken in breaks):
            continue
        others += any(broken.since <= until and since <= broken.until for broken in breaks)
        needless += status in (0, 503)
    return others, needless


def _summed(rows: Iterable[tuple[Any, ...]]) -> Counter[str]:
    """What all shards have of each mark."""
    found: Counter[str] = Counter()
    for mark, count in rows:
        found[mark] += count
    return found


def _count(tally: Tally, sent: Sent, stored: Mapping[str, int], in_feed: Mapping[str, int]) -> None:
    tally.sent[str(sent.status) if sent.status else "no answer"] += len(sent.marks)
    if sent.attempts > 1:
        tally.again[str(sent.status) if sent.status else "no answer"] += len(sent.marks)
    counts = [stored.get(mark, 0) for mark in sent.marks]
    tally.twice += sum(count > 1 for count in counts) + sum(in_feed.get(mark, 0) > 1 for mark in sent.marks)
    if sent.status == 200:
        tally.missing += sum(count == 0 for count in counts)
    elif 400 <= sent.status < 500:
        tally.refused_but_stored += sum(count > 0 for count in counts)


def memory_bound_mb(settings: Settings, rest_mb: float, connections: int) -> float:
    """The most that a worker may take that took `rest_mb` without an attack, with so many connections attacking it."""
    limits = msgspec.structs.asdict(settings)
    held: int = sum(limits[name] for name in ("queue_max_bytes", "bodies_max_bytes") if name in limits)
    return rest_mb + (COPIES * held + connections * CONNECTION_BYTES + WORK_BYTES) / 1_048_576

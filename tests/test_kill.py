"""SIGKILL while signals are in flight: what was acknowledged is there after the next start, exactly once."""

from pathlib import Path

import pytest

from tests.kit.crowd import Crowd
from tests.kit.databases import signals_per_page
from tests.kit.model import contradictions
from tests.kit.service import Service, key, make, site


@pytest.mark.parametrize("rounds", [1, pytest.param(3, marks=pytest.mark.deep)])
def test_what_was_acknowledged_before_sigkill_is_there_once_after_the_next_start(tmp_path: Path, rounds: int) -> None:
    data_dir = str(tmp_path / "data")
    sites = [f"site_{number}" for number in range(rounds)]
    token = make(*map(site, sites), key(), data_dir=data_dir)[-1]["token"]

    crowds = []
    for site_id in sites:
        with Service(data_dir=data_dir) as service:
            crowd = Crowd(service, site_id)
            assert crowd.enough.wait(30)
            service.process.kill()
            crowd.wait()
            crowds.append(crowd)
    assert any(crowd.sent - crowd.acknowledged for crowd in crowds), "nothing was in flight"

    with Service(data_dir=data_dir) as service:
        answers = [service.poll(token, crowd.site_id).json() for crowd in crowds]
        assert service.stop()[0] == 0
    stored = signals_per_page(data_dir)
    for crowd, answer in zip(crowds, answers, strict=True):
        assert contradictions(answer) == []
        for pages in (answer["pageBreakdown"], {page: n for page, n in stored.items() if page in crowd.sent}):
            assert crowd.acknowledged <= pages.keys() <= crowd.sent
            assert set(pages.values()) == {1}
    assert stored.keys() <= set().union(*(crowd.sent for crowd in crowds))

"""The benchmark that needs no server stands in for ClickHouse: it must keep to what the statements return."""

import json
import subprocess
import sys

from bench import lanes
from bench.capacity import costs_of, predicted_per_s
from bench.cluster import Point, Run, Side
from bench.requests import KINDS
from tests.kit.service import COMMAND_WITHIN_S, ROOT


def test_every_kind_of_request_is_answered_200_and_measured() -> None:
    command = [sys.executable, "-m", "bench.requests", "--json", "--rounds", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=COMMAND_WITHIN_S)
    assert done.returncode == 0, done.stderr[-2000:]
    assert list(json.loads(done.stdout)) == list(KINDS)


def test_the_model_of_capacity_predicts_the_machine_that_its_costs_come_from() -> None:
    points = [
        Point("polls", 4_000, 90, 0, 100, 150, 250, 20),
        Point("single signals", 5_000, 200, 0, 400, 180, 130, 20),
        Point("signals in batches of 100", 80_000, 300, 0, 4_000, 12, 18, 1),
    ]
    lane = lanes.Costs(lanes.Cost(11, 10), lanes.Cost(13, 12), lanes.Cost(24, 20))
    side = Side(points, 0.02, lane)
    costs = costs_of(Run(1, side, side, []))
    assert [round(predicted_per_s(point, 1, costs)) for point in points[:2]] == [4_000, 5_000]
    assert predicted_per_s(points[0], 3, costs) < 4_000

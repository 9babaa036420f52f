"""How workers share a cluster."""

import pytest

from indexer.shares import Machine, Share, share

SMALL, LARGE = Machine(4), Machine(16)
WITH_GPUS = Machine(32, 4)


@pytest.mark.parametrize(
    ("machines", "workers", "expected"),
    [
        ([SMALL], None, Share(1, 4)),
        ([SMALL, SMALL], None, Share(2, 4)),
        ([SMALL, LARGE], None, Share(5, 4)),
        ([SMALL], 2, Share(2, 2)),
        ([SMALL, LARGE], 2, Share(2, 8)),
        ([Machine(2)], 3, Share(3, 0.5)),
        ([Machine(0), SMALL], None, Share(1, 4)),
        ([WITH_GPUS, LARGE], None, Share(4, 8, 1)),
        ([WITH_GPUS], 8, Share(8, 4, 0.5)),
        ([WITH_GPUS], 5, Share(5, 4, 0.5)),
        ([WITH_GPUS], 2, Share(2, 8, 1)),
        ([Machine(2, 4)], None, Share(4, 0.5, 1)),
    ],
)
def test_with_what_there_is(machines: list[Machine], workers: int | None, expected: Share) -> None:
    assert share(machines, workers, with_gpus=True) == expected


def test_gpus_are_left_alone_where_nothing_uses_them() -> None:
    assert share([WITH_GPUS], None, with_gpus=False) == Share(1, 32)


@pytest.mark.parametrize("count", range(1, 12))
@pytest.mark.parametrize("machines", [[SMALL], [SMALL, LARGE], [WITH_GPUS, Machine(3, 1)]])
def test_all_of_them_fit(machines: list[Machine], count: int) -> None:
    each = share(machines, count, with_gpus=True)
    places = [
        min([m.cpus / each.cpus] + ([m.gpus / each.gpus] if each.gpus else [])) for m in machines
    ]
    assert each.workers == count <= sum(int(place) for place in places)
    assert each.threads >= 2

"""The API keeps to its own description, for requests that fit it and for those that do not."""

from pathlib import Path

from fakes import RECORD, FakeEncoder
from hostile_api import application, drive, serving

EXAMPLES = 12


def test_every_route_answers_as_it_is_described(tmp_path: Path) -> None:
    app, store = application(tmp_path, FakeEncoder(), RECORD.name)
    try:
        with serving(app) as address:
            driven = drive(address, EXAMPLES, seed=1)
    finally:
        store.close()
    assert driven.failures == []
    assert driven.requests > 100
    routes = {what.rpartition(" ")[0] for what in driven.statuses}
    assert {"GET /api/search", "POST /api/search", "GET /media/{image_id}/thumbnail"} <= routes
    answered = {what.rpartition(" ")[2] for what in driven.statuses}
    assert {"200", "400", "404"} <= answered
    assert not {status for status in answered if status >= "500"}

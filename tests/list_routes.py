"""Print (method, path) of every route of the application as JSON, those of Gradio with them."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from fakes import FakeEncoder, MemoryStore
from fastapi.routing import iter_route_contexts
from small_api import small_api
from starlette.routing import BaseRoute, Mount

from webapp.search import SearchService
from webapp.ui import build_page, mount_page


def listed(routes: Sequence[BaseRoute], above: str = "") -> Iterator[tuple[str, str]]:
    """Each route with each of its methods; a mounted application's with its path before them."""
    for context in iter_route_contexts(routes):
        path = above + (context.path or "")
        if isinstance(context.original_route, Mount):
            yield "GET", path + "/{path:path}"
            yield from listed(context.original_route.routes, path)
        else:
            for method in context.methods or {"GET", "POST"}:
                yield method, path


if __name__ == "__main__":
    service = SearchService(MemoryStore(), lambda record: FakeEncoder())
    app = small_api(MemoryStore(), FakeEncoder(), Path("unused"))
    mount_page(app, build_page(service, 1000), mcp=True)
    sys.stdout.write(json.dumps(sorted(set(listed(app.routes)))))

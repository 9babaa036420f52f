"""The page: Gradio Blocks hold its frame, which its own scripts fill from the HTTP API.

Only this module and serving import gradio. Why the results are not Gradio's components:
docs/page.md.
"""

import json
from collections.abc import Callable
from pathlib import Path

import gradio as gr
from fastapi import FastAPI

from embeddings.errors import EncoderError
from milvus.errors import StoreError
from webapp.errors import RequestError
from webapp.presenters import result_json
from webapp.query import text_query
from webapp.search import SearchService

TITLE = "Text-image search"
ASSETS = Path(__file__).parent / "assets"
FRAME = "".join((ASSETS / name).read_text() for name in ("frame.html", "viewer.html"))
DEFAULT_RESULTS = 16
# The system's own fonts: a theme's usual ones are fetched from another host.
THEME = gr.themes.Base(
    primary_hue="orange",
    neutral_hue="stone",
    radius_size="lg",
    font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
    font_mono=["ui-monospace", "Consolas", "monospace"],
)


def search_tool(service: SearchService, max_chars: int) -> Callable[[str, int], str]:
    """What language-model clients call; its docstring is what they read."""

    def search_images(query: str, top_k: int = DEFAULT_RESULTS) -> str:
        """Find pictures in the user's own photo library by a description in words.

        Args:
            query: what the picture shows, such as "red apples on a table"
            top_k: number of results, best first
        """
        try:
            asked = text_query(query, top_k=top_k, max_chars=max_chars)
            return json.dumps(result_json(service.search(asked)), ensure_ascii=False)
        except (RequestError, StoreError, EncoderError) as error:
            raise gr.Error(str(error)) from error

    return search_images


def build_page(service: SearchService, max_chars: int) -> gr.Blocks:
    """The page, and the function ``search_images``, which ``--mcp`` offers as a tool."""
    page: gr.Blocks
    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        gr.HTML(FRAME, elem_id="frame", apply_default_css=False)
        # Not queued: Gradio closes a client's stream of answers when the last one is done, and an
        # event that begins in that moment is never answered (seen in 7 of 100 visits).
        gr.events.api(search_tool(service, max_chars), api_name="search_images", queue=False)
    return page


def mount_page(app: FastAPI, page: gr.Blocks, *, mcp: bool = False) -> FastAPI:
    """Serve the page at ``/`` beside the application's own routes; with ``mcp`` its tools too."""
    mounted: FastAPI = gr.mount_gradio_app(
        app,
        page,
        path="/",
        theme=THEME,
        head=(ASSETS / "head.html").read_text(),
        favicon_path=str(ASSETS / "icon.svg"),
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        show_error=True,
        mcp_server=mcp,
        max_file_size=0,  # the page takes no uploads through Gradio
    )
    return mounted

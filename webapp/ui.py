"""The page: Gradio Blocks over a SearchService. Only this module and serving import gradio."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import gradio as gr
from fastapi import FastAPI

from embeddings.errors import EncoderError
from milvus.errors import CollectionMissing, StoreError
from webapp.errors import RequestError
from webapp.presenters import error_html, result_html, result_json, welcome_html
from webapp.query import text_query
from webapp.search import SearchService

TITLE = "Text-image search"
CSS = Path(__file__).parent / "assets" / "page.css"
# Events are plain requests and not queued: Gradio closes a visitor's stream of answers when the
# last one is done, and an event that begins in that moment is never answered (seen in 7 of 100
# visits that searched at once). Searches take milliseconds and need no queue.
QUEUE = False
DEFAULT_RESULTS = 16
# The system's own fonts: a theme's usual ones are fetched from another host.
THEME = gr.themes.Base(
    primary_hue="orange",
    neutral_hue="stone",
    radius_size="lg",
    font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
    font_mono=["ui-monospace", "Consolas", "monospace"],
).set(
    # White on the theme's own orange has a contrast of 2.8; WCAG 2.2 asks for 4.5.
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover_dark="*primary_800",
)


def show_results(service: SearchService, top_k: int, max_chars: int, text: str) -> str:
    """Answer the search box: the grid, or what is the matter."""
    try:
        result = service.search(text_query(text, top_k=top_k, max_chars=max_chars))
        return result_html(result, service.count())
    except (RequestError, StoreError, EncoderError) as error:
        return error_html(error)


def show_welcome(service: SearchService) -> str:
    """What a visitor sees before the first search."""
    try:
        count = service.count()
    except (CollectionMissing, StoreError) as error:
        return error_html(error)
    return welcome_html(count)


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


def build_page(
    service: SearchService, top_k: int, max_chars: int, *, mcp: bool = False
) -> gr.Blocks:
    """The search page; with ``mcp`` also the tool that ``mount_page`` offers to such clients."""
    visible = "private" if mcp else "public"  # the page's own events are no tools
    page: gr.Blocks
    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        gr.HTML(f"<header><h1>{TITLE}</h1></header>", elem_id="masthead")
        with gr.Row(elem_id="search-row"):
            text = gr.Textbox(
                label="Search your pictures",
                placeholder="Type a few words, such as: red apples on a table",
                autofocus=True,
                max_lines=1,
                show_label=False,
                container=False,
                scale=8,
                min_width=0,
                elem_id="query",
            )
            button = gr.Button("Search", variant="primary", scale=1, min_width=96, elem_id="go")
        results = gr.HTML(elem_id="results")
        # A place of its own: an answer to a quick first search may come before this one, and must
        # not be written over. The style sheet hides it as soon as there are results.
        welcome = gr.HTML(elem_id="welcome")
        gr.on(
            [text.submit, button.click],
            partial(show_results, service, top_k, max_chars),
            text,
            results,
            api_name="search",
            api_visibility=visible,
            show_progress="minimal",
            queue=QUEUE,
        )
        page.load(
            partial(show_welcome, service),
            None,
            welcome,
            api_name="welcome",
            api_visibility=visible,
            queue=QUEUE,
        )
        if mcp:
            gr.events.api(search_tool(service, max_chars), api_name="search_images", queue=QUEUE)
    return page


def mount_page(app: FastAPI, page: gr.Blocks, *, mcp: bool = False) -> FastAPI:
    """Serve the page at ``/`` beside the application's own routes; with ``mcp`` its tools too."""
    mounted: FastAPI = gr.mount_gradio_app(
        app,
        page,
        path="/",
        theme=THEME,
        css_paths=[CSS],
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        show_error=True,
        mcp_server=mcp,
        max_file_size=0,  # the page takes no uploads through Gradio
    )
    return mounted

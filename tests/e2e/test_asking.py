"""Every kind of query through the real commands and a real server, on the drawn library."""

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from support import Ran, run


@pytest.fixture(scope="module")
def data(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of its own: labels are written into it."""
    data = tmp_path_factory.mktemp("queries") / "data"
    ran = run("index-folder", library, "--model", "sample", data=data)
    assert ran.code == 0, ran.err
    return data


@pytest.fixture(scope="module")
def address(data: Path, serve_all: Callable[..., str]) -> str:
    return serve_all(data)


def search(data: Path, *options: object) -> dict[str, Any]:
    ran = run("image-search", "search", *options, "--json", data=data)
    assert ran.code == 0, ran.err
    answer: dict[str, Any] = json.loads(ran.out)
    return answer


def categories(answer: dict[str, Any]) -> list[str]:
    return [hit["category"] for hit in answer["hits"]]


def first(library: Path, category: str) -> Path:
    return min((library / category).iterdir())


def test_words_pictures_and_what_to_leave_out(library: Path, data: Path) -> None:
    lemon = first(library, "lemon")
    same = search(data, "--like", lemon, "--top-k", 8)["hits"]
    assert same[0]["path"] == str(lemon.resolve())
    assert same[0]["score"] == pytest.approx(1, abs=0.01)
    mixed = search(data, "apple", "--like", f"{lemon}:0.1", "--top-k", 8)
    assert set(categories(mixed)) == {"apple"}
    both = search(data, "--plus", "apple", "--minus", "lemon:0.5", "--top-k", 8)
    assert set(categories(both)) == {"apple"}
    similar = search(data, "--like", same[0]["id"], "--top-k", 7)
    assert [hit["id"] for hit in similar["hits"]] == [hit["id"] for hit in same[1:]]
    moved = search(data, "apple", "--move-to", "lemon", "--move-to-force", "0.95", "--top-k", 4)
    assert set(categories(moved)) == {"lemon"}
    away = search(data, "apple", "--move-away-from", "lemon", "--top-k", 16)
    assert set(categories(away)) == {"apple"}


def test_thresholds_filters_and_pages(library: Path, data: Path) -> None:
    everything = search(data, "lemon", "--top-k", 40)
    pages = [search(data, "lemon", "--top-k", 20, "--offset", n) for n in (0, 20)]
    ids = [hit["id"] for page in pages for hit in page["hits"]]
    assert ids == [hit["id"] for hit in everything["hits"]]
    assert pages[0]["more"]
    middle = everything["hits"][10]["score"]
    for option, value in (
        ("--min-score", middle),
        ("--certainty", (1 + middle) / 2),
        ("--distance", 1 - middle),
    ):
        assert abs(len(search(data, "lemon", "--top-k", 40, option, value)["hits"]) - 11) <= 1
    assert set(categories(search(data, "lemon", "--category", "apple"))) == {"apple"}
    two = search(data, "lemon", "--category", "apple", "--category", "grape", "--top-k", 60)
    assert set(categories(two)) == {"apple", "grape"}
    prefix = library.resolve() / "grape"
    assert set(categories(search(data, "lemon", "--path-prefix", prefix))) == {"grape"}
    assert len(search(data, "lemon", "--library", library)["hits"]) == 16
    assert search(data, "lemon", "--before", "2001-01-01")["notes"] == [
        "no picture passes the filter"
    ]
    ran = run("image-search", "search", "lemon", "--min-score", "1", data=data)
    assert (ran.code, ran.out, "no picture scores 1.000 or more" in ran.err) == (0, "", True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["search"], "type a few words to search for"),
        (["search", "--minus", "red"], "only what to leave out"),
        (["search", "--like", "nowhere.jpg"], "nowhere.jpg: No such file or directory; give a"),
        (["search", "--like", "12345"], "no picture has the id 12345"),
        (["search", "--like", "1" * 5000], "File name too long; give a picture file"),
        (["search", "a", "--min-width", "9" * 30], "a width or height is a number of pixels"),
        (["search", "a", "--plus", "b:nan"], "a weight is a number other than 0"),
        (["search", "a", "--min-score", "0.1", "--distance", "1"], "give one of min_score"),
        (["search", "a", "--after", "soon"], "--after: 'soon' is no date"),
        (["search", "a", "--move-to", "b", "--move-to-force", "3"], "force is between 0 and 1"),
        (["search", "a", "--offset", "-3"], "offset must be between"),
        (["label", "--labels", "nowhere.txt"], "nowhere.txt: No such file or directory"),
        (["export", "out.csv"], "the name must end in .parquet or .npz"),
        (["export", "nowhere/out.npz"], "cannot be written: No such file or directory"),
    ],
)
def test_bad_input_is_one_line(data: Path, options: list[str], said: str) -> None:
    ran: Ran = run("image-search", *options, data=data)
    assert ran.code in (1, 2)
    assert said in ran.line


def test_labels_are_told_stored_and_searched(library: Path, data: Path, tmp_path: Path) -> None:
    names = sorted(folder.name for folder in library.iterdir() if folder.is_dir())
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(names))
    photos = sorted((library / "lemon").iterdir()) + sorted((library / "grape").iterdir())
    options = ["--labels", labels, "--template", "a photo of a {}"]
    ran = run("image-search", "label", *photos, *options, "--top", 10, "--json", data=data)
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    right = [one["labels"][0]["label"] == Path(one["path"]).parent.name for one in told]
    assert sum(right) >= 0.9 * len(right)
    assert sum(label["probability"] for label in told[0]["labels"]) == pytest.approx(1, abs=1e-4)

    grape = next(one["path"] for one in told if one["labels"][0]["label"] == "grape")
    ran = run("image-search", "label", grape, *options, "--write", data=data)
    assert (ran.code, "grape" in ran.out) == (0, True), ran.err
    found = search(data, "anything", "--label", "grape")
    assert [hit["path"] for hit in found["hits"]] == [str(Path(grape).resolve())]
    assert found["hits"][0]["label"] == "grape"
    # Indexing again does not lose it, and a file that is not indexed is told.
    assert run("index-folder", library, "--model", "sample", data=data).code == 0
    assert len(search(data, "anything", "--label", "grape")["hits"]) == 1
    ran = run("image-search", "label", labels, *options, "--write", data=data)
    assert "is not indexed; index its folder first" in ran.err
    ran = run("image-search", "label", labels, *options, data=data)
    assert (ran.code, "labels.txt: not a picture" in ran.err) == (2, True)


def test_export(data: Path, tmp_path: Path) -> None:
    for name in ("out.npz", "out.parquet"):
        ran = run("image-search", "export", tmp_path / name, data=data)
        assert (ran.code, "wrote 300 pictures" in ran.err) == (0, True)
    arrays = np.load(tmp_path / "out.npz")
    np.testing.assert_allclose(np.linalg.norm(arrays["embedding"], axis=1), 1, atol=1e-5)
    assert set(arrays["category"]) >= {"lemon", "apple"}
    # The vectors are those that are searched with.
    best = search(data, "lemon", "--top-k", 1)["hits"][0]
    assert int(best["id"]) in arrays["id"].tolist()


def test_the_api_of_the_page_s_server(library: Path, address: str) -> None:
    lemon = first(library, "lemon").read_bytes()
    with httpx.Client(base_url=address, timeout=120) as client:
        uploaded = client.post("/api/search", files={"image": ("l.jpg", lemon)}).json()
        assert uploaded["hits"][0]["path"] == str(first(library, "lemon").resolve())
        body = {"terms": [{"image": base64.b64encode(lemon).decode()}], "top_k": 4}
        posted = client.post("/api/search", json=body).json()
        assert posted["hits"] == uploaded["hits"][:4]
        key = uploaded["hits"][0]["id"]
        near = client.get("/api/search", params={"like": key, "top_k": 4}).json()
        assert key not in [hit["id"] for hit in near["hits"]]
        wrong = client.post("/api/search", json={"q": "a", "filter": {"colour": "red"}})
        assert (wrong.status_code, "no such field" in wrong.json()["error"]) == (400, True)
        assert client.get("/api/search", params={"like": "5"}).status_code == 404
        large = client.post("/api/search", content=b"x" * 21_000_000)
        assert large.status_code == 413
        upload = client.post("/gradio_api/upload", files={"files": ("a.txt", b"x" * 1000)})
        assert upload.status_code >= 400
        assert client.get("/api/docs").status_code == 200


def test_language_model_clients(data: Path, serve: Callable[..., str]) -> None:
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    address = serve(data, "--mcp")

    async def ask() -> tuple[list[str], str, str]:
        async with (
            streamable_http_client(f"{address}/gradio_api/mcp/") as (receive, send, _),
            ClientSession(receive, send) as session,
        ):
            await session.initialize()
            tools = [tool.name for tool in (await session.list_tools()).tools]
            texts = []
            for query in ("a lemon", ""):
                answer = await session.call_tool(tools[0], {"query": query, "top_k": 3})
                texts.append(answer.content[0].text)  # type: ignore[union-attr]
        return tools, texts[0], texts[1]

    tools, found, refused = asyncio.run(ask())
    assert tools == ["search_images"]
    assert json.loads(found)["hits"][0]["category"] == "lemon"
    assert "type a few words" in refused

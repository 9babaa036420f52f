"""The script that checks and measures a GPU runs through, here on the CPU."""

import os
import re
import subprocess
import sys
from pathlib import Path

import bench_gpu
from support import ROOT

WEB = ("gradio", "fastapi", "starlette", "uvicorn", "python_multipart", "segno")


def test_it_checks_and_measures_without_the_packages_of_the_page(tmp_path: Path) -> None:
    for package in WEB:
        (tmp_path / f"{package}.py").write_text(f"raise ImportError('{package} is not here')")
    options = ["--device", "cpu", "--model", "ViT-B/32", "--images", "24", "--compared", "2"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "bench_gpu.py"), *options],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" not in done.stdout
    assert len(re.findall(r"^ok ", done.stdout, re.MULTILINE)) == 4
    rates = {
        name.strip(): float(rate)
        for name, rate in re.findall(r"^(.{22}) +(\d+) images/s", done.stdout, re.MULTILINE)
    }
    stages = ("read", "decode", "resize", "copy", "encode", "write")
    assert [*rates] == [
        *stages, "whole, thumbnails off", "whole, thumbnails on", "matrix product",
    ]  # fmt: skip
    assert min(rates.values()) > 0
    (limit,) = re.findall(r"^(\w+) .*the limit$", done.stdout, re.MULTILINE)
    assert rates[limit] == min(rates[stage] for stage in stages)


def test_its_pictures_are_distinct_and_of_the_weight_of_photos(tmp_path: Path) -> None:
    contents = {path.read_bytes() for path in bench_gpu.make_photos(tmp_path / "made", 20)}
    assert len(contents) == 20
    assert 30_000 < sum(map(len, contents)) / 20 < 150_000

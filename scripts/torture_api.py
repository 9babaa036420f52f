"""Attack the HTTP API: ``scripts/torture_api.py --requests 5000 --seed 1``.

A server of its own over Milvus Lite and the sample encoder gets requests that are made from its
own OpenAPI description, and others that do not fit it. Exit code 1 where one was answered with an
error of the server, or otherwise than is described.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from hostile_api import application, drive, serving

from configs.commandline import quiet_libraries
from embeddings.load import load_encoder

# Routes, each with requests that fit and that do not.
KINDS = 26


def main() -> int:
    """Run it and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2000, help="about so many")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    quiet_libraries()
    with tempfile.TemporaryDirectory() as folder:
        encoder = load_encoder("sample", None, models_dir=Path(folder), device="cpu")
        app, store = application(Path(folder), encoder, "sample")
        try:
            with serving(app) as address:
                driven = drive(address, max(1, options.requests // KINDS), options.seed)
        finally:
            store.close()
    print(driven.as_text())
    return 1 if driven.failures else 0


if __name__ == "__main__":
    sys.exit(main())

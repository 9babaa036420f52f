"""One target under Atheris, which is libFuzzer for Python: started by ``torture_parsers.py``.

``python -m hostile_bytes.fuzz TARGET FOLDER -max_total_time=60 …``, with libFuzzer's own options.
Inputs that lead somewhere new are kept in the folder, where the target's seeds are put first.
"""

import sys
from pathlib import Path

import atheris

OURS = ["configs", "embeddings", "indexer", "milvus", "webapp"]

with atheris.instrument_imports(include=OURS):
    from hostile_bytes.targets import TARGETS


def main() -> None:
    """Run until a bound is broken or the time is over; libFuzzer chooses the exit code."""
    target, folder = TARGETS[sys.argv[1]], Path(sys.argv[2])
    for number, seed in enumerate(target.seeds()):
        (folder / f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], *sys.argv[3:], str(folder)], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

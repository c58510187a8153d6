"""Fuzz a target, guided by what its inputs reach: `python tests/fuzz/run.py poses --minutes 10`.

Needs `pip install -e ".[fuzz]"`. What is found is written to the current folder as `crash-...`; put
it into `tests/fuzz/corpus` under its target when it is mended: the tests try everything there.
"""

import argparse
import logging
import sys
import tempfile
from pathlib import Path

import atheris

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]


def main() -> None:
    """Read the command line and fuzz; ends the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=["poses", "checkpoint", "config"])
    parser.add_argument("--minutes", type=float, default=10)
    args = parser.parse_args()
    logging.getLogger("animate_anyone").setLevel(logging.CRITICAL)
    # atheris keeps every array that it sees compared: 5 KB an input where JSON is counted.
    watched = {
        "include": ["animate_anyone_core"],
        "exclude": ["animate_anyone_core.borders.json_text"],
    }
    with atheris.instrument_imports(**watched, enable_loader_override=False):
        import targets
    for seed in (HERE / "corpus" / args.target).iterdir():
        targets.run(
            args.target, seed.read_bytes()
        )  # what is imported at first use, before the clock
    new = tempfile.mkdtemp(prefix=f"fuzz-{args.target}-")
    dictionary = Path(new).with_suffix(".dict")
    escaped = ["".join(f"\\x{byte:02x}" for byte in word) for word in targets.words()]
    dictionary.write_text("".join(f'"{word}"\n' for word in escaped))
    options = [
        f"-max_total_time={args.minutes * 60:.0f}",
        f"-dict={dictionary}",
        "-timeout=10",
        "-rss_limit_mb=2048",
        "-max_len=65536",
        "-print_final_stats=1",
    ]
    folders = [new, str(HERE / "corpus" / args.target)]
    atheris.Setup([sys.argv[0], *options, *folders], lambda data: targets.run(args.target, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()

"""Prints the address that opens the quickstart in JupyterLab on mybinder.org.

python binder/link.py            the address
python binder/link.py --badge    a badge with it, as Markdown for a README

The repository is that of git's remote `origin`; it must be public. `--repository ADDRESS` names
another one, `--ref NAME` a branch, tag or commit.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

SERVICE = "https://mybinder.org"
OPENS = "lab/tree/notebooks/01_quickstart.ipynb"
_HOSTS = {"github.com": "gh", "gitlab.com": "gl"}
_SCP = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w.-]+):(?P<path>[^/].*)")
_URL = re.compile(r"\w+://(?:[^/@]*@)?(?P<host>[\w.-]+)(?::\d+)?/(?P<path>.+)")


def launch_address(repository: str, ref: str = "HEAD") -> str:
    """Return the address that opens the quickstart of a repository.

    Args:
        repository: As git knows it: an https or ssh address. Who logs in by it is left out.
        ref: A branch, tag or commit.

    Raises:
        ValueError: If it is no address of a server.
    """
    found = _URL.fullmatch(repository) or _SCP.fullmatch(repository)
    if found is None or repository.startswith("file:"):
        raise ValueError(
            "the repository is an address that everybody can clone, such as"
            f" https://HOST/OWNER/NAME; got {repository!r}"
        )
    host, path = found["host"].lower(), found["path"].strip("/").removesuffix(".git")
    kind = _HOSTS.get(host, "git")
    # GitHub's is OWNER/NAME as it is; the others are one escaped word.
    named = {"gh": path, "gl": quote(path, safe="")}.get(kind, quote(f"https://{host}/{path}", ""))
    return f"{SERVICE}/v2/{kind}/{named}/{quote(ref, safe='')}?urlpath={quote(OPENS, safe='')}"


def badge(address: str) -> str:
    """Return Markdown that shows a badge and leads to an address."""
    return f"[![Open in Binder]({SERVICE}/badge_logo.svg)]({address})"


def _origin() -> str:
    root = Path(__file__).parents[1]
    asked = subprocess.run(
        ["git", "-C", str(root), "remote", "get-url", "origin"], capture_output=True, text=True
    )
    return asked.stdout.strip()


def main(arguments: list[str] | None = None) -> int:
    """Print the address, or why there is none."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--badge", action="store_true")
    parser.add_argument("--repository")
    parser.add_argument("--ref", default="HEAD")
    given = parser.parse_args(arguments)
    repository = given.repository or _origin()
    if not repository:
        print("git knows no remote 'origin' here; pass --repository ADDRESS", file=sys.stderr)
        return 2
    try:
        address = launch_address(repository, given.ref)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print(badge(address) if given.badge else address)
    return 0


if __name__ == "__main__":
    sys.exit(main())

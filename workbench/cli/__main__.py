"""`python -m workbench.cli`: the command line without the installed script."""

from __future__ import annotations

import sys

from workbench.cli.program import main

if __name__ == "__main__":
    sys.exit(main())

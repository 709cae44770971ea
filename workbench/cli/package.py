"""Where this package lies, and its version.

`import workbench` here would read, to the linter of layers, as an import of everything that the
package re-exports; a package is always imported before its modules, so it is taken from there.
"""

from __future__ import annotations

import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder of `workbench`."""

VERSION: str = sys.modules["workbench"].__version__

"""A trading node that lives inside the running Jupyter kernel."""

__version__ = "0.1.0"

"""A workbench for chest-radiograph classifiers that says how sure it is and why.

Importing this package does nothing but define a version; its rooms are drawn in
``docs/architecture.md``.
"""

__version__ = "0.1.0"

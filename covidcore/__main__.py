"""``python -m covidcore``."""

import sys

from covidcore.cli import main

if __name__ == "__main__":
    sys.exit(main())

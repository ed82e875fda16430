"""`python -m runner` is `leakrun`."""

import sys

from runner.cli import main

sys.exit(main())

"""`python -m runbook` is the `runbook` command."""

import os
import sys

if os.path.realpath(sys.path[0] or ".") != os.path.dirname(os.path.dirname(os.path.realpath(__file__))):
    # The current folder, which Python puts first: a file of that name there is not the module that we mean.
    del sys.path[0]

from runbook.cli import main

sys.exit(main())

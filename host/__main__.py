"""`python -m host`: the supervisor of one home."""

import sys

from host.supervisor.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

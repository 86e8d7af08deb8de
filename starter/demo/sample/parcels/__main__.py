"""Serve on a port: python -m parcels PORT."""

import sys

from parcels.server import serve

if __name__ == "__main__":
    serve(int(sys.argv[1]) if len(sys.argv) > 1 else 8080)

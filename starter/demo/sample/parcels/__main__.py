"""Serve on a port: python -m parcels --port 8080."""

import argparse
import asyncio

from parcels.server import serve

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="parcels", description="Says what a parcel costs.")
    parser.add_argument("--port", type=int, default=8080)
    asyncio.run(serve(parser.parse_args().port))

"""Scripts that run inside a target environment; standard library only, Python 3.8 or newer."""

"""Quality gates: detect them, build target environments, measure both sides, compare."""

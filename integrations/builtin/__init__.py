"""The deterministic agent: applies operations to the files of a workspace, without a model."""

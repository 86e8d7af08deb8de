"""The repository's own `.slipway.yaml`, as a record."""

import pytest
from pydantic import ValidationError

from domain.repo_config import RepoConfig


def test_takes_gates_of_its_own():
    config = RepoConfig.model_validate({"gates": {"contracts": {"run": "make contracts"}}})

    assert list(config.gates) == ["contracts"]


def test_refuses_to_replace_what_is_built_in():
    with pytest.raises(ValidationError, match="'secrets' is built in"):
        RepoConfig.model_validate({"gates": {"secrets": {"run": "true"}}})

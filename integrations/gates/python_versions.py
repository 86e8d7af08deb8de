"""Versions for projects that derive theirs from tags, which a checkout does not have."""


def pretended(version: str) -> dict[str, str]:
    """Return the variables by which the usual tools are told which version to take."""
    names = (
        "SETUPTOOLS_SCM_PRETEND_VERSION", "HATCH_VCS_PRETEND_VERSION", "PBR_VERSION",
        "POETRY_DYNAMIC_VERSIONING_BYPASS", "PDM_BUILD_SCM_VERSION",
    )  # fmt: skip
    return dict.fromkeys(names, version)

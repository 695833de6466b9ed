"""The authorizer of one minimum role (`MIN_ROLE`), for every kind of API that can ask one."""

from collections.abc import Mapping
from typing import Any

from rolegate import bootstrap

authorize = bootstrap.authorizer()


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Answer in the asking API's form; raise exactly `Unauthorized` where that is its way to say 401."""
    return authorize(event, context)

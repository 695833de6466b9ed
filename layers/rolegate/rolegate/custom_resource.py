"""CloudFormation's custom resources: do the work, and always answer.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html
"""

import json
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from rolegate.errors import Misconfigured, RolegateError

PHYSICAL_ID = "rolegate-key-rings"  # constant: a new one would have CloudFormation delete the old


def run(event: Mapping[str, Any], work: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the work gives
    """Do the work of an event of CloudFormation, or of anybody else, who gets what it gives.

    A deletion does nothing: the stack's secrets outlive it. CloudFormation gets its answer also when the work fails,
    or it would wait for its time-out; anybody else gets the error.
    """
    if "ResponseURL" not in event:
        return work()
    reason = ""
    if event["RequestType"] != "Delete":
        try:
            work()
        except (RolegateError, Misconfigured) as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - the name of the class is all that may be told of it
            reason = f"{type(error).__name__}: see the function's log."
    _answer(event, reason)
    return None


def _answer(event: Mapping[str, Any], reason: str) -> None:
    answer = {
        "Status": "FAILED" if reason else "SUCCESS",
        "Reason": reason or "done",
        "PhysicalResourceId": event.get("PhysicalResourceId", PHYSICAL_ID),
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    request = urllib.request.Request(  # noqa: S310 - the address is CloudFormation's own
        event["ResponseURL"], json.dumps(answer).encode(), {"Content-Type": ""}, method="PUT"
    )
    with urllib.request.urlopen(request, timeout=10):  # noqa: S310
        pass

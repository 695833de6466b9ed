"""Read JSON that strangers wrote: one meaning or none (RFC 8259, section 4; RFC 8725, section 2.6)."""

import json
import math
from typing import Any, NoReturn


def loads(raw: bytes) -> Any:  # noqa: ANN401 - JSON is what it is
    """Return the document in `raw`.

    Raises `ValueError` for anything with a doubt in it: bad UTF-8, a byte-order mark, a member named twice, NaN,
    infinity (`1e999` is one too), a number of thousands of digits, a lone surrogate, or nesting deeper than the
    interpreter reads.
    """
    try:
        document = json.loads(raw.decode(), object_pairs_hook=_members, parse_constant=_refuse, parse_float=_finite)
        if b"\\u" in raw:  # the only way for a surrogate into a document that is UTF-8
            json.dumps(document, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return document


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is named twice")
    return members


def _finite(number: str) -> float:
    value = float(number)
    return _refuse(number) if math.isinf(value) else value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")

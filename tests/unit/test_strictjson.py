import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rolegate import strictjson

DOCUMENTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)


@given(DOCUMENTS, st.sampled_from([{}, {"ensure_ascii": False}, {"indent": 1}]))
def test_whatever_is_json_without_a_doubt_is_read_as_it_is(document: object, style: dict[str, Any]) -> None:
    assert strictjson.loads(json.dumps(document, **style).encode()) == document


SCRAPS = [
    *'{}[]:, "',
    '{"a":',
    r'"\ud800"',
    r'"\u00e9"',
    "1",
    "-0",
    "1e999",
    "0.1",
    "NaN",
    "-Infinity",
    "null",
    "\ufeff",
]


@given(st.binary() | st.lists(st.sampled_from(SCRAPS)).map(lambda scraps: "".join(scraps).encode()))
def test_whatever_is_read_can_be_written_again_and_nothing_else_is_raised(raw: bytes) -> None:
    try:
        document = strictjson.loads(raw)
    except ValueError:
        return
    assert strictjson.loads(json.dumps(document, ensure_ascii=False).encode()) == document


DOUBTS = {
    "nothing": b"",
    "spaces": b"  ",
    "no JSON": b"{a: 1}",
    "single quotes": b"{'a': 1}",
    "a comma too many": b"[1,]",
    "a comment": b"[1] // one",
    "two documents": b"{} {}",
    "cut off": b'{"a": ',
    "a control character": b'"\n"',
    "NUL": b"{}\0",
    "bad UTF-8": b'"\xff"',
    "overlong UTF-8": b'"\xc0\xaf"',
    "UTF-16": "{}".encode("utf-16"),
    "a byte-order mark": b"\xef\xbb\xbf{}",
    "NaN": b"NaN",
    "infinity": b"[Infinity]",
    "minus infinity": b'{"a": -Infinity}',
    "a number beyond every float": b"1e999",
    "another one": b"[-1.5e400]",
    "5,000 digits": b"1" * 5000,
    "a lone surrogate": rb'"\ud800"',
    "a lone low surrogate": rb'["\uDfFf"]',
    "a lone surrogate as a name": rb'{"\ud800": 1}',
    "a surrogate far inside": rb'[{"a": ["\ud83d"]}]',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "a name twice": b'{"a": 1, "a": 1}',
    "a name twice, once escaped": rb'{"a": 1, "\u0061": 2}',
    "a name twice, inside": b'[{"b": {"a": 1, "a": 2}}]',
    "the empty name twice": b'{"": 1, "": 2}',
    "20,000 lists": b"[" * 20_000 + b"]" * 20_000,
    "20,000 objects": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "20,000 lists and an escape": b"[" * 20_000 + rb'"\u00e9"' + b"]" * 20_000,
    "20,000 lists, never closed": b"[" * 20_000,
}


@pytest.mark.parametrize("raw", DOUBTS.values(), ids=DOUBTS)
def test_a_doubt_is_a_value_error(raw: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the reader's own words are as good
        strictjson.loads(raw)


@pytest.mark.parametrize("depth", range(1000, 12_000, 1000))
def test_any_depth_is_either_read_or_refused(depth: int) -> None:
    """Reading, and the search for surrogates, come to their ends at different depths."""
    try:
        document = strictjson.loads(b"[" * depth + rb'"\u00e9"' + b"]" * depth)
    except ValueError as error:
        assert str(error) == "nested too deeply"  # noqa: PT017 - both are right
        return
    while isinstance(document, list):
        (document,) = document
    assert document == "\u00e9"


@pytest.mark.parametrize(
    ("raw", "document"),
    [
        (rb'"\ud83d\udd11"', "\U0001f511"),
        (rb'"\\ud800"', r"\ud800"),
        (rb'"\u0000"', "\0"),
        ("🔑".encode().join([b'"', b'"']), "🔑"),
        (b'{"a": {"a": 1}}', {"a": {"a": 1}}),
        (b" [1]\n", [1]),
        (b"1" * 4300, int("1" * 4300)),
    ],
)
def test_what_only_looks_doubtful_is_read(raw: bytes, document: object) -> None:
    assert sys.get_int_max_str_digits() == 4300
    assert strictjson.loads(raw) == document

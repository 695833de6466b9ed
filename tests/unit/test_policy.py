import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rolegate import policy
from rolegate.errors import Unauthorized
from rolegate.policy import Decision
from rolegate.roles import DEFAULT

EVENTS = Path(__file__).parents[2] / "events"
KINDS = ("rest_token", "rest_request", "http_1", "http_2", "websocket")
TOKEN = "aaa.bbb-_.ccc"
CLAIMS = {"username": "alice", "uid": "u1", "role": "manager", "scope": "user manager", "sid": "s1", "iss": "more"}
ALLOW = Decision(allowed=True, context={"username": "alice", "user_id": "u1", "detail": ""})
DENY = Decision(allowed=False, context={"username": "alice", "user_id": "u1", "detail": "admin access required"})


def sample(kind: str, token: str = TOKEN) -> dict[str, Any]:
    text = (EVENTS / f"authorizer_{kind}.json").read_text().replace("<access token>", token)
    event: dict[str, Any] = json.loads(text)
    return event


def request(headers: Any, several: Any = None) -> dict[str, Any]:
    return {"type": "REQUEST", "headers": headers, "multiValueHeaders": several}


# --- who asks


@pytest.mark.parametrize("kind", KINDS)
def test_the_token_of_every_kind_of_event_is_found(kind: str) -> None:
    assert policy.bearer(sample(kind)) == TOKEN


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEARER"])
@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
def test_scheme_and_header_are_known_in_any_case(scheme: str, name: str) -> None:
    value = f"{scheme} {TOKEN}"
    assert policy.bearer({"type": "TOKEN", "authorizationToken": value}) == TOKEN
    assert policy.bearer(request({name: value})) == TOKEN
    assert policy.bearer(request(None, {name: [value]})) == TOKEN
    assert policy.bearer(request({name: value}, {name.swapcase(): [value]})) == TOKEN


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("http_2", [f"Bearer {TOKEN}"]),
        ("http_2", ["tenant-7", f"bearer {TOKEN}"]),
        ("http_2", []),
        ("http_2", None),
        ("http_1", f"Bearer {TOKEN}"),
        ("http_1", f"Bearer {TOKEN},tenant-7"),
        ("http_1", ""),
    ],
)
def test_an_http_apis_identity_source_has_the_token_or_is_none(kind: str, source: object) -> None:
    assert policy.bearer({**sample(kind), "identitySource": source}) == TOKEN


@pytest.mark.parametrize("kind", ["http_1", "http_2"])
@pytest.mark.parametrize("source", ["tenant-7", f"Bearer {TOKEN}x", f"x{TOKEN}", f"tenant-{TOKEN}", "Bearer a.b.c"])
def test_an_answer_that_would_be_remembered_by_anything_but_the_token_is_refused(kind: str, source: str) -> None:
    for told in (source, [source], [source, "tenant-7"], {"token": source}, [7], 7):
        with pytest.raises(Unauthorized):
            policy.bearer({**sample(kind), "identitySource": told})


NO_TOKEN = {
    "nothing": "",
    "no scheme": TOKEN,
    "the scheme alone": "Bearer",
    "the scheme and a space": "Bearer ",
    "two spaces": f"Bearer  {TOKEN}",
    "a tab": f"Bearer\t{TOKEN}",
    "no space": f"Bearer{TOKEN}",
    "a colon": f"Bearer: {TOKEN}",
    "a space before": f" Bearer {TOKEN}",
    "a space behind": f"Bearer {TOKEN} ",
    "a line's end": f"Bearer {TOKEN}\n",
    "another scheme": "Basic YWxpY2U6c2VjcmV0",
    "another scheme with a token": f"DPoP {TOKEN}",
    "a scheme that ends in ours": f"NotBearer {TOKEN}",
    "a look-alike of the scheme": f"Be\u0430rer {TOKEN}",
    "two, comma-joined": f"Bearer {TOKEN}, Bearer {TOKEN}",
    "two, without a space": f"Bearer {TOKEN},Bearer {TOKEN}",
    "a comma behind": f"Bearer {TOKEN},",
    "two tokens": f"Bearer {TOKEN} {TOKEN}",
    "the scheme twice": f"Bearer Bearer {TOKEN}",
    "two parts": "Bearer aaa.bbb",
    "four parts": f"Bearer {TOKEN}.ddd",
    "no signature": "Bearer aaa.bbb.",
    "padding": f"Bearer {TOKEN}=",
    "quotes": f'Bearer "{TOKEN}"',
    "beyond ASCII": f"Bearer {TOKEN}\u00e9",
    "digits beyond ASCII": "Bearer \u0663.\u0663.\u0663",
    "a lone surrogate": f"Bearer {TOKEN}\ud800",
}


@pytest.mark.parametrize("value", NO_TOKEN.values(), ids=NO_TOKEN)
def test_anything_but_one_bearer_token_is_unauthorized(value: str) -> None:
    for event in (
        {"type": "TOKEN", "authorizationToken": value},
        request({"authorization": value}),
        request({"Authorization": value}, {"Authorization": [value]}),
        request(None, {"Authorization": [value]}),
    ):
        with pytest.raises(Unauthorized):
            policy.bearer(event)


GOOD, OTHER = f"Bearer {TOKEN}", "Bearer ddd.eee.fff"
NOT_ONE = {
    "an empty event": {},
    "a token's event without it": {"type": "TOKEN"},
    "null instead of a token": {"type": "TOKEN", "authorizationToken": None},
    "null in a header": request({"Authorization": None}),
    "no headers": request(None),
    "no headers at all": {"type": "REQUEST"},
    "empty headers": request({}, {}),
    "another header": request({"X-Authorization": GOOD, "Authorizations": GOOD}, {"Cookie": [GOOD]}),
    "doubled": request({"Authorization": GOOD}, {"Authorization": [GOOD, GOOD]}),
    "doubled, and only there": request(None, {"Authorization": [GOOD, GOOD]}),
    "two different": request({"Authorization": OTHER}, {"Authorization": [GOOD, OTHER]}),
    "none in the list": request({"Authorization": GOOD}, {"Authorization": []}),
    "one here, another there": request({"Authorization": GOOD}, {"Authorization": [OTHER]}),
    "two spellings, two values": request({"Authorization": GOOD, "authorization": OTHER}),
    "two spellings, two values, in lists": request(None, {"Authorization": [GOOD], "authorization": [OTHER]}),
    "a good one, and an empty one": request({"Authorization": GOOD, "authorization": ""}),
    "a token beside the kind that has it": {**request(None), "authorizationToken": GOOD},
    "a token in a query": {**request({}), "queryStringParameters": {"authorization": GOOD}},
}


@pytest.mark.parametrize("event", NOT_ONE.values(), ids=NOT_ONE)
def test_none_or_more_than_one_value_is_unauthorized(event: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized):
        policy.bearer(event)


@pytest.mark.parametrize(
    "event",
    [
        request({"Authorization": GOOD}, {"Authorization": [GOOD]}),
        request({"Authorization": GOOD, "Accept": "*/*"}, {}),
    ],
)
def test_the_same_value_in_both_places_is_one(event: dict[str, Any]) -> None:
    assert policy.bearer(event) == TOKEN


@given(st.text() | st.from_regex(r"(?i)bearer [A-Za-z0-9._,= -]*"))
def test_whatever_stands_in_the_header_what_comes_out_stood_there_whole(value: str) -> None:
    try:
        token = policy.bearer(request({"Authorization": value}))
    except Unauthorized:
        return
    assert value[:7].lower() == "bearer "
    assert value[7:] == token
    assert token.count(".") == 2


# --- what is decided


@pytest.mark.parametrize("minimum", ["user", "manager"])
def test_a_role_that_is_high_enough_is_let_through_and_the_api_is_told_who_it_is(minimum: str) -> None:
    assert policy.decide(CLAIMS, minimum, DEFAULT) == Decision(
        allowed=True,
        context={
            "username": "alice",
            "user_id": "u1",
            "role": "manager",
            "scope": "user manager",
            "session_id": "s1",
            "detail": "",
        },
    )


def test_a_role_that_is_too_low_is_told_which_would_do() -> None:
    decision = policy.decide(CLAIMS, "admin", DEFAULT)
    assert not decision.allowed
    assert decision.context["detail"] == "admin access required"
    assert decision.context["username"] == "alice"


@pytest.mark.parametrize("role", ["root", "Admin", "admin ", "", "user manager admin"])
def test_a_role_that_nobody_knows_is_let_through_nowhere(role: str) -> None:
    assert not policy.decide({**CLAIMS, "role": role}, "user", DEFAULT).allowed


# --- how it is said

STAGES = {
    "rest_token": "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/v1/*",
    "rest_request": "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/v1/*",
    "http_1": "arn:aws:execute-api:eu-central-1:123456789012:k1l2m3n4o5/$default/*",
    "http_2": "arn:aws:execute-api:eu-central-1:123456789012:k1l2m3n4o5/$default/*",
    "websocket": "arn:aws:execute-api:eu-central-1:123456789012:f6g7h8i9j0/production/*",
}


@pytest.mark.parametrize(("decision", "effect"), [(ALLOW, "Allow"), (DENY, "Deny")], ids=["allow", "deny"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_iam_policy_covers_exactly_the_stage_that_asks(kind: str, decision: Decision, effect: str) -> None:
    assert policy.answer(sample(kind), decision, "iam") == {
        "principalId": "u1",
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Action": "execute-api:Invoke", "Effect": effect, "Resource": STAGES[kind]}],
        },
        "context": decision.context,
    }


@pytest.mark.parametrize("decision", [ALLOW, DENY], ids=["allow", "deny"])
def test_an_http_api_may_be_answered_simply(decision: Decision) -> None:
    assert policy.answer(sample("http_2"), decision, "simple") == {
        "isAuthorized": decision.allowed,
        "context": decision.context,
    }


@pytest.mark.parametrize("kind", ["rest_token", "rest_request", "http_1", "websocket"])
def test_the_simple_form_is_payload_2_0_s_alone(kind: str) -> None:
    assert policy.answer(sample(kind), ALLOW, "simple") == policy.answer(sample(kind), ALLOW, "iam")


@pytest.mark.parametrize("kind", ["rest_token", "rest_request", "websocket"])
@pytest.mark.parametrize("form", ["simple", "iam"])
def test_without_a_valid_token_exactly_the_word_that_means_401_is_raised(kind: str, form: str) -> None:
    with pytest.raises(Unauthorized) as error:
        policy.answer(sample(kind), None, form)
    assert str(error.value) == "Unauthorized"


def test_without_a_valid_token_an_http_api_gets_a_denial() -> None:
    assert policy.answer(sample("http_2"), None, "simple") == {
        "isAuthorized": False,
        "context": {"detail": "Unauthorized"},
    }
    for kind in ("http_1", "http_2"):
        answer = policy.answer(sample(kind), None, "iam")
        assert answer["principalId"] == "nobody"
        assert answer["policyDocument"]["Statement"][0]["Effect"] == "Deny"
        assert answer["policyDocument"]["Statement"][0]["Resource"] == STAGES[kind]
        assert answer["context"] == {"detail": "Unauthorized"}


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
@pytest.mark.parametrize(
    ("asked", "covered"),
    [
        ("eu-central-1:123456789012:a1b2c3/v1/GET/a/b", "eu-central-1:123456789012:a1b2c3/v1/*"),
        ("eu-central-1:123456789012:a1b2c3/v1/GET/", "eu-central-1:123456789012:a1b2c3/v1/*"),
        ("eu-central-1:123456789012:a1b2c3/v1/", "eu-central-1:123456789012:a1b2c3/v1/*"),
        ("eu-central-1:123456789012:a1b2c3/v1/GET/*/?", "eu-central-1:123456789012:a1b2c3/v1/*"),
        ("eu-central-1:123456789012:a1b2c3/v1/GET/a\nb", "eu-central-1:123456789012:a1b2c3/v1/*"),
        ("eu-central-1:123456789012:a1b2c3/v1", "eu-central-1:123456789012:a1b2c3/v1/*"),
        ("eu-central-1:123456789012:a1b2c3/$default/$connect", "eu-central-1:123456789012:a1b2c3/$default/*"),
        ("eu-central-1:123456789012:a1b2c3/null/GET/", "eu-central-1:123456789012:a1b2c3/null/*"),
        ("us-gov-west-1:1:x/test-invoke-stage/GET/", "us-gov-west-1:1:x/test-invoke-stage/*"),
    ],
)
def test_the_stage_is_found_in_every_partition_and_under_every_path(partition: str, asked: str, covered: str) -> None:
    event = {"type": "TOKEN", "methodArn": f"arn:{partition}:execute-api:{asked}"}
    (statement,) = policy.answer(event, ALLOW, "iam")["policyDocument"]["Statement"]
    assert statement["Resource"] == f"arn:{partition}:execute-api:{covered}"


@pytest.mark.parametrize(
    "arn",
    [
        None,
        "",
        7,
        "*",
        "arn:aws:execute-api:*:*:*",
        "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3",
        "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3/",
        "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3/*",
        "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3/${aws:username}/GET/x",
        "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3/v1\n",
        "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3//GET/x",
        "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3/*/GET/x",
        "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3/v*/GET/x",
        "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3/v?/GET/x",
        "arn:aws:execute-api:eu-central-1:123456789012:*/v1/GET/x",
        "arn:aws:execute-api:eu-central-1:*:a1b2c3/v1/GET/x",
        "arn:*:execute-api:eu-central-1:123456789012:a1b2c3/v1/GET/x",
        "arn:aws:lambda:eu-central-1:123456789012:function/v1/GET/x",
        " arn:aws:execute-api:eu-central-1:123456789012:a1b2c3/v1/GET/x",
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_stage_that_is_in_doubt_is_never_widened(kind: str, arn: object) -> None:
    event = sample(kind)
    event["routeArn" if kind == "http_2" else "methodArn"] = arn
    with pytest.raises(Unauthorized):
        policy.answer(event, ALLOW, "iam")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["simple", "iam"])
@pytest.mark.parametrize("minimum", ["user", "admin"])
def test_the_context_is_flat_texts_as_api_gateway_asks(kind: str, form: str, minimum: str) -> None:
    answer = policy.answer(sample(kind), policy.decide(CLAIMS, minimum, DEFAULT), form)
    assert json.loads(json.dumps(answer)) == answer
    assert all(isinstance(value, str) for value in answer["context"].values())


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_is_only_read(kind: str) -> None:
    event = sample(kind)
    before = copy.deepcopy(event)
    policy.bearer(event)
    policy.answer(event, ALLOW, "iam")
    assert event == before

"""The contract, `openapi.yaml`: code, template and contract say the same of routes, fields, statuses and codes."""

import ast
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped] # it ships no types
from openapi_spec_validator import validate
from rolegate import discovery, errors, http, passwords, users

from tests.conftest import PASSWORD, ROOT, Answer, Fault, World, claims, rest_event, stack_in_memory
from tests.template.conftest import Stack
from tests.template.test_api import refusals, rendered, routes

SPEC: dict[str, Any] = yaml.safe_load((ROOT / "openapi.yaml").read_text())
WELL_KNOWN = "/.well-known/"
JSON, PROBLEM = "application/json", "application/problem+json"


def followed(node: Any) -> Any:
    """Return what a reference stands for."""
    while isinstance(node, dict) and "$ref" in node:
        target: Any = SPEC
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = target
    return node


class Operation(NamedTuple):
    """A method of a path, as the contract describes it."""

    method: str
    path: str
    said: Mapping[str, Any]

    @property
    def route(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def body(self) -> Mapping[str, Any] | None:
        """What it says of the JSON that is sent."""
        content = self.said.get("requestBody", {}).get("content", {})
        assert not content or content.keys() == {JSON}
        found: Mapping[str, Any] | None = content.get(JSON)
        return found

    @property
    def responses(self) -> dict[int, Any]:
        return {int(status): followed(response) for status, response in self.said["responses"].items()}

    def problems(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the refusals that it gives as examples, by their names."""
        for response in self.responses.values():
            content = response.get("content", {}).get(PROBLEM, {})
            yield from ((name, followed(one)["value"]) for name, one in content.get("examples", {}).items())


OPERATIONS = [
    Operation(method, path, said)
    for path, methods in SPEC["paths"].items()
    for method, said in methods.items()
    if isinstance(said, dict) and "responses" in said
]
DOCUMENTS = [operation for operation in OPERATIONS if operation.path.startswith(WELL_KNOWN)]
ROUTES = {operation.route: operation for operation in OPERATIONS if operation not in DOCUMENTS}
POSTS = {route: operation for route, operation in ROUTES.items() if operation.body}


def faults(schema: Mapping[str, Any], document: Any) -> list[str]:
    """Return what a document does that its schema forbids."""
    whole = {**schema, "components": SPEC["components"]}
    checker = Draft202012Validator(whole, format_checker=FormatChecker())
    return [f"{fault.json_path}: {fault.message}" for fault in checker.iter_errors(document)]


def media(content: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], Any]]:
    """Yield each example of a content with its media type and schema."""
    for kind, said in content.items():
        values = [said["example"]] if "example" in said else []
        values += [followed(one)["value"] for one in said.get("examples", {}).values()]
        assert values, f"{kind} has no example"
        yield from ((kind, said["schema"], value) for value in values)


def function(stack: Stack, operation: Operation) -> str:
    """Return the folder of the function that the template has answer an operation."""
    name = "Keys" if operation in DOCUMENTS else routes(stack)[operation.route][0]
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


# The document itself


def test_the_contract_is_a_valid_document() -> None:
    validate(SPEC)
    assert SPEC["openapi"].startswith("3.1.")


def test_the_contract_uses_everything_that_it_defines() -> None:
    text = (ROOT / "openapi.yaml").read_text()
    for kind, components in SPEC["components"].items():
        for name in components:
            assert kind == "securitySchemes" or f"'#/components/{kind}/{name}'" in text, name


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.route)
def test_every_status_has_an_example_and_each_is_of_its_schema(operation: Operation) -> None:
    for status, response in operation.responses.items():
        assert ("content" in response) is (status != HTTPStatus.NOT_MODIFIED)
        for kind, schema, example in media(response.get("content", {})):
            assert faults(schema, example) == []
            assert (kind == PROBLEM) is ("code" in example)
            assert example.get("status", status) == status
    for _, schema, example in media({JSON: operation.body} if operation.body else {}):
        assert faults(schema, example) == []


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.route)
def test_every_answer_documents_the_headers_that_it_has(operation: Operation) -> None:
    for status, response in operation.responses.items():
        headers = response["headers"]
        assert "Access-Control-Allow-Origin" in headers
        if operation in DOCUMENTS:
            continue
        assert {"Cache-Control", "Access-Control-Expose-Headers", "Vary"} <= headers.keys()
        assert ("Retry-After" in headers) is (status in {429, 503})
        assert ("WWW-Authenticate" in headers) is ("security" in operation.said and status in {401, 403})


# Contract and template


def test_the_template_and_the_contract_have_the_same_routes(everything: Stack) -> None:
    assert ROUTES.keys() == routes(everything).keys()


def test_the_template_and_the_contract_have_the_same_documents(everything: Stack) -> None:
    keys = {route["RouteKey"] for route in everything.of_type("AWS::ApiGatewayV2::Route").values()}
    assert keys == {f"GET {WELL_KNOWN}{{document}}", "GET /{document}"}  # the second is what a domain's mapping leaves
    known = (discovery.JWKS, discovery.OPENID, discovery.OAUTH)
    assert {one.route for one in DOCUMENTS} == {f"GET {WELL_KNOWN}{name}" for name in known}


def test_exactly_the_routes_behind_an_authorizer_ask_for_a_token_of_its_role(everything: Stack) -> None:
    roles: dict[str, list[str]] = {"User": [], "Manager": ["manager"], "Admin": ["admin"]}
    assert "security" not in SPEC
    for route, (_, authorizer) in routes(everything).items():
        assert ROUTES[route].said.get("security") == ([{"accessToken": roles[authorizer]}] if authorizer else None), (
            route
        )
    assert not any("security" in one.said for one in DOCUMENTS)


@pytest.mark.parametrize("operation", ROUTES.values(), ids=lambda one: one.route)
def test_whatever_the_gateway_refuses_by_itself_is_documented_on_every_route_that_it_can_happen_to(
    everything: Stack, operation: Operation
) -> None:
    told = [problem for _, problem in operation.problems()]
    for kind, response in refusals(everything).items():
        if kind.startswith("BAD_REQUEST_"):  # handlers validate, and its own words could be any
            continue
        if kind in {"UNAUTHORIZED", "ACCESS_DENIED"} and "security" not in operation.said:
            continue
        if kind in {"REQUEST_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE"} and operation.body is None:
            continue
        authorizer = routes(everything)[operation.route][1]
        assert rendered(response, detail=f"{str(authorizer).lower()} access required") in told, kind


# Contract and code


def details() -> Iterator[tuple[type[errors.RolegateError], str]]:
    """Yield the outcomes that the code can tell a client of, with a pattern of their details."""
    yield from ((kind, re.escape(kind.detail)) for kind in http.STATUS)
    for module in ("bootstrap", "credentials", "flows", "http", "passwords", "users"):
        tree = ast.parse((ROOT / "layers" / "rolegate" / "rolegate" / f"{module}.py").read_text())
        for raised in (node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise)):
            if isinstance(raised, ast.Call) and raised.args:
                kind = getattr(errors, ast.unparse(raised.func).removeprefix("errors."), None)
                if kind is not None and kind in http.STATUS and kind is not errors.TooManyAttempts:
                    yield kind, pattern(raised.args[0])


def pattern(text: ast.expr) -> str:
    """Return the pattern of a text in the code, whatever it is filled with."""
    match text:
        case ast.Constant(value=str(value)):
            return re.escape(value)
        case ast.JoinedStr(values=parts):
            return "".join(re.escape(str(one.value)) if isinstance(one, ast.Constant) else r"\w+" for one in parts)
        case ast.Name(id="USERNAME_RULE"):
            return re.escape(users.USERNAME_RULE)
        case _:
            raise NotImplementedError(ast.unparse(text))


def test_everything_that_the_code_can_say_is_an_example_somewhere() -> None:
    told = {json.dumps(problem): problem for one in OPERATIONS for _, problem in one.problems()}.values()
    for kind, words in details():
        if kind is errors.InvalidRequest and words == re.escape(kind.detail):
            continue
        status, title = http.STATUS[kind]
        same = [one for one in told if (one["status"], one["title"], one["code"]) == (status, title, kind.code)]
        assert [one for one in same if re.fullmatch(words, one["detail"])], (kind.__name__, words)


def test_no_example_is_anything_that_neither_the_code_nor_the_gateway_can_say(everything: Stack) -> None:
    ours = [(*http.STATUS[kind], kind.code, words) for kind, words in details()]
    gateways = [rendered(response, detail="Forbidden") for response in refusals(everything).values()]
    roles = [f"{name} access required" for name in ("user", "manager", "admin")]
    for operation in OPERATIONS:
        for name, said in operation.problems():
            assert list(said) == ["type", "title", "status", "detail", "code"]
            own = [o for o in ours if o[:3] == (said["status"], said["title"], said["code"])]
            known = [o for o in own if re.fullmatch(o[3], said["detail"])]
            detail = "Forbidden" if said["detail"] in roles else said["detail"]
            assert known or {**said, "detail": detail} in gateways, name


def test_every_outcome_has_its_code_in_the_contract_and_there_are_no_others() -> None:
    codes = SPEC["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
    assert sorted(codes) == sorted(kind.code for kind in http.STATUS)
    told = {(said["status"], said["code"]) for one in OPERATIONS for _, said in one.problems()}
    assert told == {(status, kind.code) for kind, (status, _) in http.STATUS.items()}


def held_to(schema: str, typed: str) -> bool:
    """Tell whether a text is of a schema of the contract."""
    return not faults({"$ref": f"#/components/schemas/{schema}"}, typed)


def same_username(typed: str) -> None:
    try:
        name = users.username(typed)
    except errors.InvalidRequest:
        assert not held_to("TypedUsername", typed), typed
    else:
        assert held_to("TypedUsername", typed), typed
        assert held_to("Username", name), name


def same_password(typed: str) -> None:
    typed = unicodedata.normalize("NFC", typed)
    try:
        passwords.accept(typed)
        detail = ""
    except errors.InvalidRequest as error:
        detail = error.detail
    if not detail.startswith("This password is among"):
        assert held_to("NewPassword", typed) is (detail == ""), typed


@given(
    st.text(max_size=200) | st.uuids().map(str) | st.builds(" {} ".format, st.uuids().map(lambda one: str(one).upper()))
)
def test_a_username_is_of_the_contract_exactly_if_the_code_takes_it(typed: str) -> None:
    same_username(typed)


@given(st.text(max_size=300) | st.text(st.characters(max_codepoint=0x2FF), min_size=6, max_size=10))
def test_a_new_password_is_of_the_contract_exactly_if_the_code_takes_its_form(typed: str) -> None:
    same_password(typed)


def test_every_character_and_length_is_the_same_to_the_contract_and_the_code() -> None:
    for character in [*map(chr, range(0x180)), "\u2028", "\N{REPLACEMENT CHARACTER}", "\N{KELVIN SIGN}"]:
        for typed in (f"{character}alice", f"ali{character}ce", f"alice{character}"):
            same_username(typed)
        same_password(f"correct{character}horse")
    for length in (0, 1, 7, 8, 127, 128, 129, 255, 256, 257):
        same_username("a" * length)
        same_password("zx" * (length // 2) + "y" * (length % 2))


class Client(NamedTuple):
    """Somebody who asks the functions in memory, by the contract."""

    world: World
    stack: Stack
    tokens: Mapping[str, Any]

    def send(self, operation: Operation, body: str | None, **how: Any) -> Answer:
        """Send a body to an operation's function as the gateway does, with what its authorizer says of the caller."""
        said = claims(self.tokens["access_token"])
        identity = {"username": said["username"], "user_id": said["uid"], "session_id": said["sid"]}
        authorizer = identity if "security" in operation.said else None
        event = rest_event(operation.path, body, authorizer=authorizer, **how)
        if operation in DOCUMENTS:
            event["pathParameters"] = {"document": operation.path.removeprefix(WELL_KNOWN)}
        answer = self.world.ask(function(self.stack, operation), event)
        self.holds(operation, answer)
        return answer

    def post(self, operation: Operation, body: Mapping[str, Any]) -> Answer:
        return self.send(operation, json.dumps(body))

    def valid(self, operation: Operation) -> dict[str, Any]:
        """Return the contract's example with what lives in it."""
        assert operation.body is not None
        _, _, example = next(media({JSON: operation.body}))
        return {**example, **({"refresh_token": self.tokens["refresh_token"]} if "refresh_token" in example else {})}

    def holds(self, operation: Operation, answer: Answer) -> None:
        """Hold an answer to what the contract says of it."""
        response = operation.responses[answer.status]
        unsaid = answer.headers.keys() - response["headers"].keys() - {"Content-Type"}
        assert not unsaid or operation in DOCUMENTS, unsaid
        for name, header in response["headers"].items():
            if name in answer.headers:
                schema = followed(header)["schema"]
                value = answer.headers[name]
                assert not faults(schema, int(value) if schema["type"] == "integer" else value), name
            assert name in answer.headers or not followed(header).get("required"), name
        if "content" in response:
            assert not faults(response["content"][answer.headers["Content-Type"]]["schema"], answer.body)


@pytest.fixture
def client(everything: Stack) -> Iterator[Client]:
    with stack_in_memory() as world:
        world.add_user()
        yield Client(world, everything, world.login())


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.route)
def test_what_is_asked_by_the_contract_is_answered_by_it(client: Client, operation: Operation) -> None:
    body = json.dumps(client.valid(operation)) if operation.body else None
    answer = client.send(operation, body)
    assert answer.status == next(iter(operation.responses))
    assert answer.headers["Content-Type"] == JSON


@pytest.mark.parametrize("operation", DOCUMENTS, ids=lambda one: one.route)
def test_a_document_that_is_known_already_is_answered_by_the_contract(client: Client, operation: Operation) -> None:
    [named] = map(followed, operation.said["parameters"])
    event = {"version": "2.0", "pathParameters": {"document": operation.path.removeprefix(WELL_KNOWN)}}
    etag = client.world.ask("keys", {**event, "headers": {}}).headers["ETag"]
    assert not faults(named["schema"], etag)
    answer = client.world.ask("keys", {**event, "headers": {named["name"]: etag}})
    assert answer.status == HTTPStatus.NOT_MODIFIED
    client.holds(operation, answer)


@pytest.mark.parametrize("operation", POSTS.values(), ids=lambda one: one.route)
def test_a_function_requires_exactly_the_fields_that_the_contract_requires(
    client: Client, operation: Operation
) -> None:
    assert operation.body is not None
    schema = operation.body["schema"]
    properties = followed(schema)["properties"]
    for _, _, example in list(media({JSON: operation.body})):
        full = {**client.valid(operation), **example}
        for field in properties:
            left = {name: value for name, value in full.items() if name != field}
            answer = client.post(operation, left)
            named = "refresh_token" if field == "token" else field  # the other name of the same
            missing = (400, "invalid_request", f"The field '{named}' is missing.")
            refused = answer.status == HTTPStatus.BAD_REQUEST and answer.problem == missing
            assert refused is bool(faults(schema, left)), (field, answer)
            assert refused or answer.status != HTTPStatus.BAD_REQUEST, answer


BODIES: Mapping[str, tuple[str | None, bool]] = {  # a body, and whether it is said to be base64
    "body_missing": (None, False),
    "body_not_decoded": ("{}", True),
    "body_no_json": ("{", False),
    "body_no_object": ("[]", False),
}
WRONG: Mapping[str, Mapping[str, Any]] = {
    "audience_unknown": {"audience": "nobody"},
    "username_rule": {"username": "-"},
    "password_length": {"password": "horse"},
    "password_control": {"password": "correct\0horse"},
    "password_utf8": {"password": "correct\N{REPLACEMENT CHARACTER}horse"},
    "password_name": {"username": "dave", "password": "correct dave battery"},
    "password_common": {"password": "password123"},
}


@pytest.mark.parametrize("operation", POSTS.values(), ids=lambda one: one.route)
def test_a_function_gives_each_400_that_the_contract_has_of_it(client: Client, operation: Operation) -> None:
    told = [(name, said) for name, said in operation.problems() if said["status"] == HTTPStatus.BAD_REQUEST]
    for name, said in told:
        text, is_base64 = BODIES.get(
            name, (json.dumps({**client.valid(operation), **wrong(operation, name, said)}), False)
        )
        assert client.send(operation, text, is_base64=is_base64).body == said, name


def wrong(operation: Operation, name: str, said: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields that are wrong in a body, by the name and the words of the refusal."""
    if name in WRONG and operation.path == "/me/password":
        return {"new_password": WRONG[name]["password"].replace("dave", "alice")}
    if name in WRONG:
        return WRONG[name]
    field = re.search(r"'(\w+)'", said["detail"])
    return {field[1]: {"missing": None, "text": 1, "empty": ""}[name.rpartition("_")[2]]} if field else {}


def closed(client: Client, operation: Operation) -> Answer:
    client.world.configure(REGISTRATION="closed")
    return client.post(operation, client.valid(operation))


def guessed_often(client: Client, operation: Operation) -> Answer:
    client.world.configure(NETWORK_LIMIT="1/900", USER_NETWORK_LIMIT="1/900")
    for number in range(2):
        answer = client.post(operation, wrong_password(client, operation) | {"username": f"dave-{number}"})
    return answer


def wrong_password(client: Client, operation: Operation) -> dict[str, Any]:
    name = "current_password" if operation.path == "/me/password" else "password"
    return {**client.valid(operation), name: "correct horse battery stable"}


def signed_out(client: Client, operation: Operation) -> Answer:
    client.world.logout(client.tokens["refresh_token"])
    return client.send(operation, json.dumps(client.valid(operation)) if operation.body else None)


def disabled(client: Client, operation: Operation) -> Answer:
    client.world.change_user(disabled=True)
    return client.send(operation, None)


def late(client: Client, operation: Operation) -> Answer:
    client.world.clock.tick(100 * 86_400)
    return client.post(operation, client.valid(operation))


def spent(client: Client, operation: Operation) -> Answer:
    client.world.rotate(client.tokens["refresh_token"], 2)
    return client.post(operation, client.valid(operation))


def out_of_reach(client: Client, operation: Operation) -> Answer:
    for service in ("GetItem", "PutItem", "UpdateItem", "TransactWriteItems", "GetSecretValue", "GetParameter"):
        client.world.wire.order(service, *[Fault.REFUSED] * 9)
    client.world.configure()
    return client.send(operation, json.dumps(client.valid(operation)) if operation.body else None)


def large(client: Client, operation: Operation) -> Answer:
    return client.post(operation, {**client.valid(operation), "x": "x" * 65_536})


def untyped(client: Client, operation: Operation) -> Answer:
    return client.send(operation, json.dumps(client.valid(operation)), content_type="text/plain")


WAYS: Mapping[str, Callable[[Client, Operation], Answer]] = {
    "registration_closed": closed,
    "username_taken": lambda client, one: client.post(one, {"username": "alice", "password": PASSWORD}),
    "invalid_credentials": lambda client, one: client.post(one, wrong_password(client, one)),
    "invalid_refresh_token": lambda client, one: client.post(one, {"refresh_token": "x"}),
    "refresh_token_expired": late,
    "refresh_token_revoked": signed_out,
    "refresh_token_reused": spent,
    "unauthorized": lambda client, one: (signed_out if one.body else disabled)(client, one),
    "payload_too_large": large,
    "unsupported_media_type": untyped,
    "too_many_attempts": guessed_often,
    "unavailable": out_of_reach,
}
GATEWAYS = {"forbidden", "user_access", "manager_access", "admin_access", "not_found", "throttled", "internal"}
ASKED_OF_NOTHING = {"GET /hello", "GET /manager", "GET /admin"}  # their function reads nothing that could be missing
OTHERS = [
    pytest.param(one, name, said, id=f"{one.route} {name}")
    for one in OPERATIONS
    for name, said in one.problems()
    if said["status"] != HTTPStatus.BAD_REQUEST and name not in GATEWAYS and one.route not in ASKED_OF_NOTHING
]


@pytest.mark.parametrize(("operation", "name", "said"), OTHERS)
def test_a_function_gives_each_other_refusal_that_the_contract_has_of_it(
    client: Client, operation: Operation, name: str, said: Mapping[str, Any]
) -> None:
    assert WAYS[name](client, operation).body == said


def test_an_unknown_document_is_refused_as_the_contract_says(client: Client) -> None:
    told = dict(DOCUMENTS[0].problems())
    answer = client.world.ask("keys", {"version": "2.0", "headers": {}, "pathParameters": {"document": "keys.json"}})
    assert answer.body == told["not_found"]
    client.holds(DOCUMENTS[0], answer)

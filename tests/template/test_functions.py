"""The functions: what each is given, what each may do, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.template.conftest import Stack, Transform

AUTHORIZERS = ["UserAuthorizer", "ManagerAuthorizer", "AdminAuthorizer"]
FUNCTIONS = {  # name: MB, seconds
    "Register": (1769, 15),
    "Login": (1769, 15),
    "Refresh": (512, 8),
    "Logout": (512, 8),
    "Account": (512, 8),
    "ChangePassword": (1769, 15),
    "Keys": (512, 8),
    "RotateKeys": (512, 60),
    "Hello": (512, 8),
    **dict.fromkeys(AUTHORIZERS, (512, 10)),
}
ISSUER = "<KeysApi.ApiEndpoint>"
TABLES_AND_KEYS = {
    "USERS_TABLE": "<Users>",
    "SESSIONS_TABLE": "<Sessions>",
    "SIGNING_KEYS_SECRET": "<SigningKeys.Id>",
    "REFRESH_KEYS_SECRET": "<RefreshKeys.Id>",
}
TOKENS = {
    "ISSUER": ISSUER,
    "AUDIENCES": "rolegate",
    "SUBJECT": "username",
    "ROLES": "user=1,manager=2,admin=3",
    "ACCESS_TOKEN_MINUTES": "15",
    "REFRESH_TOKEN_DAYS": "7",
}
LENGTHS = {"PASSWORD_MIN_LENGTH": "8", "PASSWORD_MAX_LENGTH": "256"}
SIGN_IN = {
    **TABLES_AND_KEYS,
    **TOKENS,
    "ATTEMPTS_TABLE": "<Attempts>",
    "SESSION_DAYS": "30",
    "BCRYPT_COST": "12",
    "USER_NETWORK_LIMIT": "10/900",
    "USER_LIMIT": "100/900",
    "NETWORK_LIMIT": "100/10",
    "KEY_RING_SECONDS": "300",
    "ALLOWED_ORIGIN": "*",
}
RING = {"KEY_RING_SECONDS": "300"}
ENVIRONMENTS = {
    "Register": {
        "USERS_TABLE": "<Users>",
        "ATTEMPTS_TABLE": "<Attempts>",
        "NETWORK_LIMIT": "100/10",
        **LENGTHS,
        "REGISTRATION": "closed",
        "ROLES": "user=1,manager=2,admin=3",
        "BCRYPT_COST": "12",
        "ALLOWED_ORIGIN": "*",
    },
    "Login": SIGN_IN,
    "ChangePassword": {**SIGN_IN, **LENGTHS},
    "Refresh": {
        **TABLES_AND_KEYS,
        **TOKENS,
        "REFRESH_GRACE_SECONDS": "30",
        "ROTATIONS_PER_LATE_RETRY": "20",
        **RING,
        "ALLOWED_ORIGIN": "*",
    },
    "Logout": {
        "SESSIONS_TABLE": "<Sessions>",
        "REFRESH_KEYS_SECRET": "<RefreshKeys.Id>",
        "ISSUER": ISSUER,
        "REFRESH_GRACE_SECONDS": "30",
        **RING,
        "ALLOWED_ORIGIN": "*",
    },
    "Account": {"USERS_TABLE": "<Users>", "ALLOWED_ORIGIN": "*"},
    "Keys": {"ISSUER": ISSUER, "JWKS_PARAMETER": "<Jwks>", "ALLOWED_ORIGIN": "*"},
    "RotateKeys": {
        "SIGNING_KEYS_SECRET": "<SigningKeys.Id>",
        "REFRESH_KEYS_SECRET": "<RefreshKeys.Id>",
        "JWKS_PARAMETER": "<Jwks>",
        "SIGNING_ALGORITHM": "RS256",
        "KEY_ROTATION_DAYS": "30",
        "ACCESS_TOKEN_MINUTES": "15",
        "REFRESH_TOKEN_DAYS": "7",
        "ROLES": "user=1,manager=2,admin=3",
        "MIN_ROLES": "user,manager,admin",
    },
    "Hello": {"ALLOWED_ORIGIN": "*"},
    **{
        name: {
            "MIN_ROLE": name.removesuffix("Authorizer").lower(),
            "ISSUER": ISSUER,
            "AUDIENCE": "rolegate",
            "EXPIRY_LEEWAY_SECONDS": "0",
            "KEY_SET_SECONDS": "300",
            "HTTP_API_RESPONSES": "simple",
            "WEBSOCKET_QUERY_TOKEN": "false",
            "ROLES": "user=1,manager=2,admin=3",
            "REVOCATION_CHECK": mode,
            "REVOCATION_CHECK_SECONDS": "60",
            "USERS_TABLE": "<Users>",
            "SESSIONS_TABLE": "<Sessions>",
        }
        for name, mode in zip(AUTHORIZERS, ("off", "cached", "strict"), strict=True)
    },
}
READ_BOTH = {table: {"dynamodb:BatchGetItem"} for table in ("<Users.Arn>", "<Sessions.Arn>")}
READ_KEYS = {"secretsmanager:GetSecretValue"}
SWAP_KEYS = READ_KEYS | {"secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"}
COUNT = {"<Attempts.Arn>": {"dynamodb:UpdateItem"}}
JWKS = "arn:aws:ssm:us-east-1:123456789012:parameter<Jwks>"  # a parameter's name begins with the slash
PERMISSIONS: dict[str, dict[str, set[str]]] = {
    "Register": {"<Users.Arn>": {"dynamodb:PutItem", "dynamodb:ConditionCheckItem"}, **COUNT},
    "Login": {
        "<Users.Arn>": {"dynamodb:GetItem", "dynamodb:UpdateItem"},
        "<Sessions.Arn>": {"dynamodb:PutItem"},
        **COUNT,
        "<SigningKeys.Id>": READ_KEYS,
        "<RefreshKeys.Id>": READ_KEYS,
    },
    "ChangePassword": {
        "<Users.Arn>": {"dynamodb:GetItem", "dynamodb:UpdateItem"},
        "<Sessions.Arn>": {"dynamodb:GetItem", "dynamodb:PutItem"},
        **COUNT,
        "<SigningKeys.Id>": READ_KEYS,
        "<RefreshKeys.Id>": READ_KEYS,
    },
    "Refresh": {
        "<Users.Arn>": {"dynamodb:GetItem"},
        "<Sessions.Arn>": {"dynamodb:UpdateItem"},
        "<SigningKeys.Id>": READ_KEYS,
        "<RefreshKeys.Id>": READ_KEYS,
    },
    "Logout": {"<Sessions.Arn>": {"dynamodb:UpdateItem"}, "<RefreshKeys.Id>": READ_KEYS},
    "Account": {"<Users.Arn>": {"dynamodb:GetItem"}},
    "Keys": {JWKS: {"ssm:GetParameter"}},
    "RotateKeys": {
        "<SigningKeys.Id>": SWAP_KEYS,
        "<RefreshKeys.Id>": SWAP_KEYS,
        JWKS: {"ssm:GetParameter", "ssm:PutParameter"},
    },
    "Hello": {},
    "UserAuthorizer": {},
    **dict.fromkeys(AUTHORIZERS[1:], READ_BOTH),
}
SEEN_BY_AUTHORIZERS = [  # neither a password's hash nor a token's id
    *("username", "user_id", "role", "session_epoch", "disabled", "deleted_at"),
    *("session_id", "session_expires_at", "revoked_at"),
]


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_there_are_these_functions_and_no_others(everything: Stack) -> None:
    assert everything.functions().keys() == FUNCTIONS.keys()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_its_memory_and_time(everything: Stack, name: str) -> None:
    function = everything.functions()[name]
    assert (function["MemorySize"], function["Timeout"]) == FUNCTIONS[name]
    assert (function["Runtime"], function["Handler"]) == ("python3.13", "app.handler")


def test_a_function_behind_the_gateway_ends_before_the_gateway_gives_up(everything: Stack) -> None:
    behind = {name: f for name, f in everything.functions().items() if name != "RotateKeys"}
    assert max(f["Timeout"] for f in behind.values()) < 29


def test_a_refresh_and_its_clients_wait_fit_into_the_grace(stack: Stack, source: dict[str, Any]) -> None:
    assert 2 * stack.functions()["Refresh"]["Timeout"] < source["Parameters"]["RefreshGraceSeconds"]["Default"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_told_this_and_nothing_else(everything: Stack, name: str) -> None:
    variables = everything.functions()[name]["Environment"]["Variables"]
    assert variables == {"METRICS_NAMESPACE": "auth-prod", **ENVIRONMENTS[name]}


def test_an_issuer_of_ones_own_is_told_to_all(transform: Transform) -> None:
    stack = transform(IssuerUrl="https://auth.example.com", SampleRoutes="true")
    variables = {name: function["Environment"]["Variables"] for name, function in stack.functions().items()}
    told = {name: of["ISSUER"] for name, of in variables.items() if "ISSUER" in of}
    assert told.keys() == {name for name, of in ENVIRONMENTS.items() if "ISSUER" in of}
    assert set(told.values()) == {"https://auth.example.com"}


def test_tokens_may_be_for_many_and_authorizers_take_the_first(transform: Transform) -> None:
    functions = transform(Audiences="orders,billing").functions()
    assert functions["Login"]["Environment"]["Variables"]["AUDIENCES"] == "orders,billing"
    assert functions["Refresh"]["Environment"]["Variables"]["AUDIENCES"] == "orders,billing"
    assert {functions[name]["Environment"]["Variables"]["AUDIENCE"] for name in AUTHORIZERS} == {"orders"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_may_do_this_and_nothing_else(everything: Stack, name: str) -> None:
    assert everything.functions()[name]["Role"] == f"<{name}Role.Arn>"
    role = everything.resources[f"{name}Role"]["Properties"]
    assert role.keys() == {"AssumeRolePolicyDocument", "Policies"}
    allowed: dict[str, set[str]] = {}
    for policy in role["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement.keys() - {"Condition"} == {"Effect", "Action", "Resource"}
            assert statement["Effect"] == "Allow"
            for resource in listed(statement["Resource"]):
                allowed.setdefault(resource, set()).update(listed(statement["Action"]))
    logs = {f"<{name}Logs.Arn>": {"logs:CreateLogStream", "logs:PutLogEvents"}}
    assert allowed == PERMISSIONS[name] | logs


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("Login", {"password_hash", "password_imported"}),
        (
            "ChangePassword",
            {"user_id", "password_hash", "password_imported", "password_changed_at", "session_epoch", "updated_at"}
            | {"sessions_ended_at", "sessions_ended_because"},
        ),
    ],
)
def test_what_changes_a_user_changes_these_attributes_and_never_the_role(
    everything: Stack, name: str, changed: set[str]
) -> None:
    [policy] = everything.resources[f"{name}Role"]["Properties"]["Policies"]
    statements = policy["PolicyDocument"]["Statement"]
    [change] = [s for s in statements if (s["Action"], s["Resource"]) == ("dynamodb:UpdateItem", "<Users.Arn>")]
    attributes = change["Condition"].pop("ForAllValues:StringEquals")["dynamodb:Attributes"]
    assert set(attributes) == {"username", *changed}
    assert change["Condition"] == {"Null": {"dynamodb:Attributes": "false"}}


def test_ones_own_cdn_is_told_to_whoever_looks_at_addresses(transform: Transform) -> None:
    told = {
        name: (variables["EDGE_SECRET_SHA256"], variables["EDGE_ADDRESS_HEADER"])
        for name, function in transform(EdgeSecretSha256="ab" * 32, EdgeAddressHeader="True-Client-IP")
        .functions()
        .items()
        if "EDGE_SECRET_SHA256" in (variables := function["Environment"]["Variables"])
    }
    assert told == dict.fromkeys(("Register", "Login", "Refresh", "ChangePassword"), ("ab" * 32, "True-Client-IP"))


def test_bcrypt_may_have_a_limit_of_its_own(transform: Transform) -> None:
    functions = transform(ReservedConcurrency="20").functions()
    reserved = {name: function.get("ReservedConcurrentExecutions") for name, function in functions.items()}
    assert {name for name, most in reserved.items() if most} == {"Register", "Login", "ChangePassword"}
    assert {most for most in reserved.values() if most} == {"20"}


@pytest.mark.parametrize("slot", ["User", "Manager", "Admin"])
@pytest.mark.parametrize("mode", ["off", "cached", "strict"])
def test_an_authorizer_that_asks_the_tables_may_do_one_thing_more(transform: Transform, slot: str, mode: str) -> None:
    role = transform(**{f"{slot}RevocationCheck": mode}).resources[f"{slot}AuthorizerRole"]["Properties"]
    [policy] = role["Policies"]
    _logs, *more = policy["PolicyDocument"]["Statement"]
    if mode == "off":
        assert more == []
    else:
        [read] = more
        assert (read["Action"], read["Resource"]) == ("dynamodb:BatchGetItem", ["<Users.Arn>", "<Sessions.Arn>"])
        assert read["Condition"] == {
            "ForAllValues:StringEquals": {"dynamodb:Attributes": SEEN_BY_AUTHORIZERS},
            "StringEqualsIfExists": {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"},
            "Null": {"dynamodb:Attributes": "false"},
        }


def test_there_is_a_role_a_function_and_only_lambda_takes_it(everything: Stack) -> None:
    roles = everything.of_type("AWS::IAM::Role")
    assert roles.keys() == {f"{name}Role" for name in FUNCTIONS}
    lambda_alone = [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]
    assert all(role["AssumeRolePolicyDocument"]["Statement"] == lambda_alone for role in roles.values())


def test_no_policy_is_attached_from_elsewhere(everything: Stack) -> None:
    kinds = {resource["Type"] for resource in everything.resources.values()}
    assert not kinds & {"AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_logs_to_its_own_group_for_a_while(transform: Transform, name: str) -> None:
    stack = transform(SampleRoutes="true", LogRetentionDays="90")
    assert stack.functions()[name]["LoggingConfig"] == {"LogGroup": f"<{name}Logs>"}
    assert stack.resources[f"{name}Logs"]["Properties"] == {"RetentionInDays": "90"}


@pytest.mark.parametrize(("architecture", "layer"), [("arm64", "LayerArm64"), ("x86_64", "LayerX86")])
def test_functions_and_their_only_layer_are_of_one_architecture(
    transform: Transform, architecture: str, layer: str
) -> None:
    stack = transform(Architecture=architecture, SampleRoutes="true")
    [(name, version)] = stack.of_type("AWS::Lambda::LayerVersion").items()
    assert name.startswith(layer)
    assert version["CompatibleArchitectures"] == [architecture]
    assert version["CompatibleRuntimes"] == ["python3.13"]
    for function in stack.functions().values():
        assert (function["Architectures"], function["Layers"]) == ([architecture], [f"<{name}>"])


def test_each_layer_is_built_for_its_architecture_by_its_own_target(source: dict[str, Any]) -> None:
    for name, architecture in {"LayerArm64": "arm64", "LayerX86": "x86_64"}.items():
        assert source["Resources"][name]["Metadata"] == {"BuildMethod": "makefile", "BuildArchitecture": architecture}


def test_nothing_reserves_concurrency_or_records_traces(everything: Stack) -> None:
    for function in everything.functions().values():
        assert not function.keys() & {"ReservedConcurrentExecutions", "ProvisionedConcurrencyConfig"}
        assert function.get("TracingConfig", {"Mode": "PassThrough"})["Mode"] == "PassThrough"
    assert not any(stage.get("TracingEnabled") for stage in everything.of_type("AWS::ApiGateway::Stage").values())

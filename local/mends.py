"""What the local AWS drops or gets wrong, put back as AWS does it; every mend knows ministack 1.5.33 by heart."""

# What it replaces is neither public nor typed, and not installed where types are checked.
# ruff: noqa: ANN401, SLF001
# mypy: disable-error-code="import-not-found, import-untyped"

import json
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from ministack.core import iam_actions, lambda_runtime
from ministack.services import apigateway as http
from ministack.services import apigateway_v1 as rest
from ministack.services import dynamodb, secretsmanager
from ministack.services.cloudformation import changesets, engine, handlers, provisioners
from samtranslator.translator import transform as sam

type Function = Callable[..., Any]

KEYWORDS = {"SET", "REMOVE", "ADD", "DELETE", "AND", "OR", "NOT", "BETWEEN", "IN"}
AUTHORIZER_VARIABLE = re.compile(rb"\$context\.authorizer\.(\w+)")

parameter_values: ContextVar[Mapping[str, str]] = ContextVar("parameter_values", default=MappingProxyType({}))
raised_message: ContextVar[object] = ContextVar("raised_message", default=None)
denied_context: ContextVar[Mapping[str, str]] = ContextVar("denied_context", default=MappingProxyType({}))


class PolicyWithContext(dict[str, Any]):
    """An authorizer's policy that carries its context along, through the authorizer cache too."""

    context: Mapping[str, str]


def wrap(module: Any, name: str, wrapper: Callable[[Function], Function]) -> None:
    """Replace a function of the local AWS by one that wraps it."""
    setattr(module, name, wrapper(getattr(module, name)))


def keep_gateway_responses(import_api: Function) -> Function:
    """Import a REST API's gateway responses, which the local AWS drops, so that its own refusals look like AWS's."""

    def imported(spec: dict[str, Any], data: dict[str, Any] | None = None) -> str:
        api: str = import_api(spec, data)
        for kind, response in spec.get("x-amazon-apigateway-gateway-responses", {}).items():
            rest._put_gateway_response(api, kind, response)
        return api

    return imported


def keep_mock_answers(import_operation: Function) -> Function:
    """Import a mock integration's templates and headers (a preflight's CORS headers), which the local AWS drops."""

    def imported(api: str, resource: str, method: str, operation: dict[str, Any] | None, *others: Any) -> None:
        import_operation(api, resource, method, operation, *others)
        mock = (operation or {}).get("x-amazon-apigateway-integration", {})
        if str(mock.get("type")).upper() == "MOCK":
            rest._put_integration(api, resource, method, {**mock, "type": "MOCK"})
            for answer in mock.get("responses", {}).values():
                rest._put_integration_response(api, resource, method, answer["statusCode"], answer)

    return imported


def send_context_with_policy(invoke: Function) -> Function:
    """Tie an authorizer's context to its policy, so that it is at hand when the policy denies."""

    async def invoked(*arguments: Any) -> Any:
        result = await invoke(*arguments)
        body = (result or {}).get("body")
        answer = json.loads(body) if isinstance(body, str | bytes) and not result.get("error") else body
        if isinstance(answer, dict) and isinstance(answer.get("policyDocument"), dict):
            policy = PolicyWithContext(answer["policyDocument"])
            policy.context = rest._stringify_context(answer.get("context"))
            result = {**result, "body": {**answer, "policyDocument": policy}}
        return result

    return invoked


def remember_denied_context(evaluate: Function) -> Function:
    """Note the context of the policy that is being evaluated, for the gateway response that a deny ends in."""

    def evaluated(policy: dict[str, Any], method_arn: str) -> str:
        denied_context.set(getattr(policy, "context", {}))
        decision: str = evaluate(policy, method_arn)
        return decision

    return evaluated


def fill_in_authorizer_variables(respond: Function) -> Function:
    """Replace `$context.authorizer.*` in a gateway response: AWS knows the context of a deny, cached or not."""

    def responded(error: Any, request: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        status, headers, body = respond(error, request)
        context = denied_context.get() if error.response_type == "ACCESS_DENIED" else {}
        return status, headers, AUTHORIZER_VARIABLE.sub(lambda m: context.get(m[1].decode(), "").encode(), body)

    return responded


def keep_table_settings(create: Function) -> Function:
    """Turn on a new table's TTL and point-in-time recovery, which the local AWS takes from API calls alone."""

    def created(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        table = create(logical_id, properties, stack)
        for key, setting in (
            ("TimeToLiveSpecification", dynamodb._update_ttl),
            ("PointInTimeRecoverySpecification", dynamodb._update_continuous_backups),
        ):
            if key in properties:
                setting({"TableName": table[0], key: properties[key]})
        return table

    return created


def move_labels(put: Function) -> Function:
    """Take a new secret version's staging labels away from the others: the local AWS lets several have the same one."""

    def moved(data: dict[str, Any]) -> Any:
        answer = put(data)
        _, secret = secretsmanager._resolve(data.get("SecretId"))
        for name, version in (secret or {"Versions": {}})["Versions"].items():
            if answer[0] < 400 and name != data.get("ClientRequestToken"):  # noqa: PLR2004 - HTTP's errors
                version["Stages"] = [label for label in version["Stages"] if label not in data.get("VersionStages", ())]
        return answer

    return moved


def note_parameters(apply_transforms: Function) -> Function:
    """Note the values of a template's parameters for `transform_with_parameters`."""

    def applied(template: Any, given: Any = None, previous: Any = None) -> Any:
        parameter_values.set(engine._transform_parameters(template, given, previous))
        return apply_transforms(template, given, previous)

    return applied


def transform_with_parameters(transform: Function) -> Function:
    """Give SAM the parameters' values, as CloudFormation does; the local AWS leaves it the defaults.

    Of a parameter that is found in SSM the default is only its name there, which would end up as an authorizer's ARN.
    """

    def transformed(template: Any, _none: Any, *others: Any) -> Any:
        return transform(template, dict(parameter_values.get()), *others)

    return transformed


def name_payload_version(invoke: Function) -> Function:
    """Say `version: 1.0` in the event of that payload, without which it looks like a REST API's.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html
    """

    async def invoked(authorizer: Mapping[str, Any], event: dict[str, Any], *others: Any) -> Any:
        if "eventType" not in event["requestContext"]:  # which a WebSocket's has, and no version
            event = {"version": "1.0", **event}
        return await invoke(authorizer, event, *others)

    return invoked


def note_what_was_raised(run: Function) -> Function:
    """Note what a function raised, for `refuse_handshakes`; the local AWS keeps no more than that it did."""

    async def ran(*arguments: Any, **options: Any) -> Any:
        result = await run(*arguments, **options)
        body = result.get("body") if isinstance(result, dict) and result.get("error") else None
        raised_message.set(body.get("errorMessage") if isinstance(body, dict) else None)
        return result

    return ran


def refuse_handshakes(authorize: Function) -> Function:
    """Answer 401 to a WebSocket whose authorizer raised `Unauthorized`, as AWS does; the local one says 500.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-lambda-auth.html
    """

    async def authorized(*arguments: Any) -> Any:
        raised_message.set(None)
        refusal, context = await authorize(*arguments)
        return ((401, "Unauthorized") if refusal and raised_message.get() == "Unauthorized" else refusal), context

    return authorized


def see_attributes(conditions: Function) -> Function:
    """See the attributes that BatchGetItem and UpdateItem name, for a role's conditions.

    The local AWS looks for a batch's beside its tables, and at no expression but a projection.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
    """

    def seen(body: bytes) -> dict[str, Any]:
        content = json.loads(body or b"{}")
        found: dict[str, Any] = conditions(body)
        if not isinstance(content, dict):
            return found
        if "UpdateExpression" in content:
            return {**found, "dynamodb:Attributes": sorted(attributes_of(content))}
        tables = content.get("RequestItems", {}).values()
        if not tables or not all(isinstance(table, dict) and "Keys" in table for table in tables):
            return found
        each = [conditions(json.dumps(table).encode()) for table in tables]
        named = [name for one in each for name in one.get("dynamodb:Attributes", ())]
        specific = all(one["dynamodb:Select"] == "SPECIFIC_ATTRIBUTES" for one in each)
        select = "SPECIFIC_ATTRIBUTES" if specific else "ALL_ATTRIBUTES"
        return {"dynamodb:Attributes": named, "dynamodb:Select": select} if named else {"dynamodb:Select": select}

    return seen


def attributes_of(update: Mapping[str, Any]) -> set[str]:
    """Return the attributes that an UpdateItem names: in its key, and in both its expressions."""
    written = f"{update['UpdateExpression']} {update.get('ConditionExpression', '')}"
    words = set(re.findall(r"(?<![:#\w])#?[A-Za-z_]\w*(?!\w|\s*\()", written)) - KEYWORDS
    names: Mapping[str, str] = update.get("ExpressionAttributeNames", {})
    return {*update["Key"], *(names.get(word, word) for word in words)}


def take_formulas(record: Function) -> Function:
    """Make an alarm on a formula one on the metric in it: the local AWS takes no formula, and no alarm rings here."""

    def recorded(name: str, properties: dict[str, Any]) -> Any:
        for query in properties.get("Metrics", ()):
            if statistic := query.get("MetricStat"):
                plain = {"Period": statistic["Period"], "Statistic": statistic["Stat"], **statistic["Metric"]}
                properties = {**properties, **plain, "Metrics": None}
        return record(name, properties)

    return recorded


def keep_worker_after_exception(invoke: Function) -> Function:
    """Keep an environment whose handler raised, as Lambda does: the local AWS ends it, and pays a start each time."""

    def invoked(*arguments: Any, **options: Any) -> dict[str, Any]:
        response: dict[str, Any] = invoke(*arguments, **options)
        if "raised" in response:
            response |= {"status": "error", "error": response.pop("raised")}
        return response

    return invoked


def show_logs(invoke: Function) -> Function:
    """Print what a function logs: the local AWS keeps it in CloudWatch Logs alone, which have no console here."""

    def invoked(worker: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
        response: dict[str, Any] = invoke(worker, *arguments, **options)
        for line in (response.get("log") or "").splitlines():
            print(f"{worker.func_name}: {line}", flush=True)
        return response

    return invoked


def report_exceptions_as_answers(worker: str) -> str:
    """Let the worker's script report a handler's exception as an answer, for `keep_worker_after_exception`."""
    before = '{"status": "error", "error": str(e), "trace"'
    if worker.count(before) != 1:
        raise RuntimeError("The local AWS's worker reports exceptions in another way than expected.")
    return worker.replace(before, '{"status": "ok", "raised": str(e), "trace"')


def apply() -> None:
    """Put every mend in place; call once, before the local AWS serves."""
    wrap(rest, "_import_rest_api", keep_gateway_responses)
    wrap(rest, "_import_operation", keep_mock_answers)
    wrap(rest, "_invoke_authorizer_lambda", send_context_with_policy)
    wrap(rest, "_evaluate_policy", remember_denied_context)
    wrap(rest, "_gateway_error_response", fill_in_authorizer_variables)
    wrap(lambda_runtime.Worker, "invoke", keep_worker_after_exception)
    wrap(lambda_runtime.Worker, "invoke", show_logs)
    lambda_runtime._PYTHON_WORKER_SCRIPT = report_exceptions_as_answers(lambda_runtime._PYTHON_WORKER_SCRIPT)
    wrap(secretsmanager, "_put_secret_value", move_labels)
    for module in (changesets, handlers):
        wrap(module, "_apply_transforms", note_parameters)
    wrap(sam, "transform", transform_with_parameters)
    wrap(http, "_invoke_request_authorizer_lambda", name_payload_version)
    wrap(http, "run_reentrant", note_what_was_raised)
    wrap(http, "_authorize_ws_connect", refuse_handshakes)
    wrap(iam_actions, "dynamodb_service_context", see_attributes)
    wrap(provisioners, "_cw_metric_alarm_record", take_formulas)
    tables = provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
    tables["create"] = keep_table_settings(tables["create"])

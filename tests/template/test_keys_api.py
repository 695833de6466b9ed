"""The small HTTP API with the public key documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.template.conftest import Stack, Transform


def test_it_has_these_routes_all_to_the_keys_function(stack: Stack) -> None:
    routes = stack.of_type("AWS::ApiGatewayV2::Route").values()
    assert {route["RouteKey"] for route in routes} == {"GET /.well-known/{document}", "GET /{document}"}
    assert {route["Target"] for route in routes} == {"integrations/<KeysIntegration>"}
    assert not any("AuthorizerId" in route for route in routes)
    [integration] = stack.of_type("AWS::ApiGatewayV2::Integration").values()
    assert integration["IntegrationUri"] == "<KeysFunction.Arn>"
    assert integration["PayloadFormatVersion"] == "2.0"


def test_it_serves_at_its_root_and_is_throttled(transform: Transform) -> None:
    [stage] = transform(ThrottlingRate="7", ThrottlingBurst="9").of_type("AWS::ApiGatewayV2::Stage").values()
    assert (stage["StageName"], stage["AutoDeploy"]) == ("$default", True)
    assert stage["DefaultRouteSettings"] == {"ThrottlingRateLimit": "7", "ThrottlingBurstLimit": "9"}


def test_it_is_an_http_api_and_the_function_sends_the_headers_for_browsers(stack: Stack) -> None:
    [api] = stack.of_type("AWS::ApiGatewayV2::Api").values()
    assert api["ProtocolType"] == "HTTP"
    assert "CorsConfiguration" not in api

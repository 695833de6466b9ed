"""GET /hello, /manager, /admin: sample routes, each behind the authorizer of its role."""

from rolegate import bootstrap, http

GREETINGS = {
    "/hello": "Hello {username}!",
    "/manager": "Hello {username}! You have manager access.",
    "/admin": "Hello {username}! You have admin access.",
}


@bootstrap.endpoint
def handler(request: http.Request) -> http.Response:
    """Answer 200 with a greeting."""
    return http.json_response({"message": GREETINGS[request.resource].format(username=request.identity["username"])})

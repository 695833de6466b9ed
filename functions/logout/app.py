"""POST /logout: the end of a session (RFC 7009)."""

from rolegate import bootstrap, http

logout = bootstrap.logout()


@bootstrap.endpoint
def handler(request: http.Request) -> http.Response:
    """Answer 200 once the end is written."""
    logout(request.text("refresh_token", "token"))
    return http.json_response({"message": "Logged out successfully"})

"""POST /login: a username and a password for an access token and a refresh token."""

from rolegate import bootstrap, http

login = bootstrap.login()


@bootstrap.endpoint
def handler(request: http.Request) -> http.Response:
    """Answer 200 with tokens (RFC 6749, section 5.1)."""
    username, password = request.text("username"), request.text("password")
    return http.tokens(login(username, password, request.optional_text("audience"), request.caller))

"""POST /refresh: a refresh token for a new access token (RFC 6749, section 6; RFC 9700, section 4.14)."""

from rolegate import bootstrap, http

refresh = bootstrap.refresh()


@bootstrap.endpoint
def handler(request: http.Request) -> http.Response:
    """Answer 200 with tokens."""
    return http.tokens(refresh(request.text("refresh_token", "token"), request.caller))

"""POST /me/password: another password for who proves the current one."""

from rolegate import bootstrap, http

change_password = bootstrap.change_password()


@bootstrap.endpoint
def handler(request: http.Request) -> http.Response:
    """Answer 200 with the tokens of a fresh session; every other one has ended."""
    identity, current, new = request.identity, request.text("current_password"), request.text("new_password")
    return http.tokens(change_password(identity, current, new, request.caller))

"""POST /register: a new user of the lowest role."""

from rolegate import bootstrap, http

register = bootstrap.register()


@bootstrap.endpoint
def handler(request: http.Request) -> http.Response:
    """Answer 201 with the user."""
    user = register(request.text("username"), request.text("password"), request.caller)
    return http.json_response({"user_id": user.user_id, "username": user.username, "role": user.role}, status=201)

"""GET /me: who is asking, as stored now."""

from rolegate import bootstrap, http

account = bootstrap.account()


@bootstrap.endpoint
def handler(request: http.Request) -> http.Response:
    """Answer 200 with the user that the authorizer let through."""
    user = account(request.identity["username"], request.identity["user_id"])
    facts = {"user_id": user.user_id, "username": user.username, "role": user.role, "created_at": user.created_at}
    return http.json_response({**facts, "session_id": request.identity["session_id"]})

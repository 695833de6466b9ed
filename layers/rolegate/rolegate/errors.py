"""What can go wrong, one class an outcome; `http.STATUS` says how each is answered."""


class RolegateError(Exception):
    """An outcome that a client is told about.

    `code` is for programs and never changes; `detail` is for people. Neither carries a secret, nor anything a
    client did not send itself.
    """

    code = "internal"
    detail = "The service met an error it did not expect."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or self.detail)
        self.detail = detail or self.detail


class InvalidRequest(RolegateError):
    """The request cannot be understood; nothing was changed."""

    code = "invalid_request"
    detail = "The request is not valid."


class InvalidCredentials(RolegateError):
    """No such user, a wrong password or a disabled user: deliberately the same answer."""

    code = "invalid_credentials"
    detail = "Invalid credentials"


class InvalidRefreshToken(RolegateError):
    """Not a refresh token of ours."""

    code = "invalid_refresh_token"
    detail = "Invalid refresh token"


class RefreshTokenExpired(RolegateError):
    """A refresh token of ours, or its session, past its end."""

    code = "refresh_token_expired"
    detail = "Refresh token expired"


class RefreshTokenRevoked(RolegateError):
    """Its session was ended before its time."""

    code = "refresh_token_revoked"
    detail = "Refresh token revoked"


class RefreshTokenReused(RefreshTokenRevoked):
    """A spent refresh token came back, so its whole session was ended (RFC 9700, section 4.14.2)."""

    code = "refresh_token_reused"


class Unauthorized(RolegateError):
    """No valid access token."""

    code = "unauthorized"
    detail = "Unauthorized"


class Forbidden(RolegateError):
    """A valid access token whose role is too low."""

    code = "forbidden"
    detail = "Forbidden"


class NotFound(RolegateError):
    """Nothing stands at this address."""

    code = "not_found"
    detail = "Not found"


class UsernameTaken(RolegateError):
    """The name belongs, or belonged, to somebody."""

    code = "username_taken"
    detail = "This username is taken."


class TooManyAttempts(RolegateError):
    """Too many guesses at a password; there is room for another in `retry_after` seconds (RFC 6585, section 4)."""

    code = "too_many_attempts"
    detail = "Too many attempts. Try again later."

    def __init__(self, detail: str | None = None, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class PayloadTooLarge(RolegateError):
    """The body is larger than any request of ours needs."""

    code = "payload_too_large"
    detail = "The body is larger than 64 KiB."


class UnsupportedMediaType(RolegateError):
    """The body is not declared to be JSON."""

    code = "unsupported_media_type"
    detail = "Send the body as JSON, with the header Content-Type: application/json."


MENDING = 30  # seconds that a client should wait when an operator has to act


class Unavailable(RolegateError):
    """Something that the answer needs cannot be reached now; trying again is safe.

    `retry_after` is in seconds (RFC 9110, section 10.2.3).
    """

    code = "unavailable"
    detail = "The service is not available right now. Try again."

    def __init__(self, detail: str | None = None, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Misconfigured(Exception):
    """A setting or a stored document makes no sense; says which and what would. Never sent to a client."""

"""The nouns that the rules speak of. Times are whole seconds since 1970 (RFC 7519, NumericDate)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

Claims = Mapping[str, Any]
"""The claims of a token (RFC 7519, section 4), or the members of a JOSE header or key."""


class Caller(NamedTuple):
    """Who seems to call: the address that the gateway saw and the name that the client gave itself."""

    source_ip: str = ""
    user_agent: str = ""

    @property
    def network(self) -> str:
        """The IPv4 address, or the first 64 bits of an IPv6 one: what one household or phone keeps."""
        return self._first(64)

    @property
    def site(self) -> str:
        """The IPv4 address, or the first 48 bits of an IPv6 one: what a provider gives one customer (RFC 6177)."""
        return self._first(48)

    def _first(self, bits: int) -> str:
        if ":" not in self.source_ip:
            return self.source_ip
        import ipaddress  # noqa: PLC0415 - costs a cold start what most callers never need

        try:
            address = ipaddress.IPv6Address(self.source_ip)
        except ValueError:
            return self.source_ip
        mapped = address.ipv4_mapped
        return str(mapped or ipaddress.IPv6Network((int(address), bits), strict=False))


class Because(StrEnum):
    """Why a session, or every session of a user, was ended; recorded on the item and in the log."""

    LOGOUT = "logout"
    ADMIN = "admin"
    REUSED = "refresh_token_reused"
    STATE_LOST = "state_lost"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a reason, not a password
    DISABLED = "disabled"
    ENABLED = "enabled"
    DELETED = "deleted"
    SIGNED_OUT_EVERYWHERE = "signed_out_everywhere"


class User(NamedTuple):
    """A user as stored. `session_epoch` is replaced to end every session at once; compared for equality only."""

    username: str
    user_id: str
    password_hash: str
    role: str
    session_epoch: str
    created_at: int
    updated_at: int
    password_changed_at: int
    password_imported: bool = False  # the hash was made by another system
    disabled: bool = False
    deleted_at: int | None = None
    sessions_ended_at: int | None = None
    sessions_ended_because: str | None = None
    schema_version: int = 1

    @property
    def may_sign_in(self) -> bool:
        """Whether this user is neither disabled nor deleted."""
        return not self.disabled and self.deleted_at is None


class RefreshToken(NamedTuple):
    """The claims of a refresh token that differ from token to token of one session."""

    id: str
    kid: str
    generation: int
    issued_at: int
    expires_at: int


class Presented(NamedTuple):
    """A refresh token that a client presented, its signature verified and nothing else."""

    token: RefreshToken
    username: str
    user_id: str
    session_id: str
    auth_time: int
    session_expires_at: int


class Session(NamedTuple):
    """One sign-in, also called a refresh-token family. `live` is its one usable refresh token."""

    user_id: str
    session_id: str
    epoch: str
    live: RefreshToken
    auth_time: int
    amr: tuple[str, ...]
    client_id: str
    audience: str
    created_at: int
    expires_at: int
    caller: Caller = Caller()
    previous_token_id: str | None = None
    rotated_at: int | None = None
    late_retry_generation: int | None = None
    revoked_at: int | None = None
    revoked_because: str | None = None
    revocation_id: str | None = None  # of the call that ended it, by which it knows its own write


class Tokens(NamedTuple):
    """What a client gets at sign-in and at refresh; both `expires_in` are whole seconds left."""

    access_token: str
    expires_in: int
    refresh_token: str
    refresh_expires_in: int
    role: str


class Audit(Protocol):
    """Record that something happened."""

    def __call__(self, event: str, **facts: str | int | None) -> None:
        """Take a snake_case name and plain facts; None is left out."""
        ...

"""Key rings in Secrets Manager, changed by compare-and-swap, and as a function keeps them in memory."""

import uuid
from collections import deque
from collections.abc import Callable
from typing import Any

from rolegate import keyring
from rolegate.errors import MENDING, Misconfigured, Unavailable
from rolegate.stores import aws

CURRENT, PREVIOUS, PENDING = "AWSCURRENT", "AWSPREVIOUS", "rolegate-pending"
_GONE = ("ResourceNotFoundException", "InvalidRequestException")  # the latter while it waits for its deletion
_OVERTAKEN = ("InvalidParameterException", "InvalidRequestException")


class _OldVersion(Unavailable):
    """What was read is a version that we replaced ourselves: reads may lag behind writes."""


class RingStore:
    """One secret that holds a key ring. Every method raises `Unavailable` when it is out of reach."""

    def __init__(self, client: Any, secret: str) -> None:  # noqa: ANN401 - botocore's clients have no type of their own
        self._client = client
        self._secret = secret
        self._replaced: set[str] = set()  # versions that are current no more: we replaced them ourselves

    def read(self) -> tuple[keyring.Ring | None, str]:
        """Return the ring and its version; no ring in a stack whose first ones are still to be made.

        Raises `Misconfigured` when the secret holds anything but a ring, or is not there, and `Unavailable` for a
        version that we replaced ourselves: Secrets Manager's reads may lag behind its writes.
        """
        found = self._version(CURRENT)
        if found is None:
            raise Misconfigured(
                f"The secret is gone, or has no value: {self._secret}. Restore it; {{}} makes new keys."
            )
        if found["VersionId"] in self._replaced:
            raise _OldVersion
        try:
            return keyring.load(found.get("SecretString", "")), found["VersionId"]
        except Misconfigured as error:
            raise Misconfigured(f"{error} It is {self._secret}. Restore its value; {{}} makes new keys.") from None

    def update(self, step: Callable[[keyring.Ring | None], keyring.Ring]) -> tuple[keyring.Ring, str]:
        """Replace the ring by what `step` makes of it; return the one in force then, and its version.

        Whoever comes second sees the first one's ring and asks `step` again. Raises `Unavailable` after five defeats.
        """
        for _ in range(5):
            try:
                ring, version = self.read()
            except _OldVersion:
                continue
            changed = step(ring)
            if changed == ring:
                return ring, version
            fresh = self._swap(keyring.dump(changed), version)
            if fresh is not None:
                return changed, fresh
        raise Unavailable

    def forget_previous(self) -> None:
        """Take the labels away by which versions beside the current one can still be asked for."""
        for label in (PREVIOUS, PENDING):
            found = self._version(label)
            if found is not None and CURRENT not in found["VersionStages"]:
                self._move(label, RemoveFromVersionId=found["VersionId"])

    def _swap(self, document: str, read: str) -> str | None:
        """Make `document` the current version unless another has come since `read`; then return None.

        Secrets Manager has no conditional write, but moves a staging label only away from the version it is said to
        be on (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html). A
        version that never becomes current loses its label to the next one, and is deleted by Secrets Manager.
        """
        version = str(uuid.uuid4())
        with aws.reached():
            self._client.put_secret_value(
                SecretId=self._secret, ClientRequestToken=version, SecretString=document, VersionStages=[PENDING]
            )
        won = self._move(CURRENT, MoveToVersionId=version, RemoveFromVersionId=read)
        if not won:  # perhaps our own move landed and only its answer got lost
            found = self._version(CURRENT)
            won = found is not None and found["VersionId"] == version
        if won:
            self._replaced.add(read)
        return version if won else None

    def _move(self, label: str, **versions: str) -> bool:
        """Move a label; tell whether it was where it was said to be."""
        try:
            with aws.reached():
                self._client.update_secret_version_stage(SecretId=self._secret, VersionStage=label, **versions)
        except aws.Refused as refused:
            if refused.code not in _OVERTAKEN:
                raise
            return False
        return True

    def _version(self, label: str) -> dict[str, Any] | None:
        try:
            with aws.reached():
                found: dict[str, Any] = self._client.get_secret_value(SecretId=self._secret, VersionStage=label)
        except aws.Refused as refused:
            if refused.code not in _GONE:
                raise
            return None
        return found


class Rings:
    """The ring that a function works with: kept in memory, read again when it is old or a token names another key.

    While the store does not answer, or holds nonsense, an old ring serves on, an hour at most: `keyring` counts on it.
    """

    REREADS, IN_SECONDS = 5, 30
    PAUSE = 30  # seconds between two tries to replace a ring that still serves: each may wait for its time-out
    STRANGERS, LONGEST_KID = 1000, 64  # of keys that are nobody's: how many are remembered, and how long their names

    def __init__(self, store: RingStore, fresh_seconds: int) -> None:
        self._store = store
        self._fresh = fresh_seconds
        self._ring: keyring.Ring | None = None
        self._read_at = self._tried_at = -self.PAUSE
        self._rereads: deque[int] = deque(maxlen=self.REREADS)
        self._strangers: dict[str, int] = {}  # when each was looked for in vain

    def ring(self, now: int) -> keyring.Ring:
        """Return the ring to work with. Raises `Unavailable` without any that may still be used."""
        age = now - self._read_at
        # Not far before either: a clock that was set back must not keep a ring for ever.
        kept = self._ring if -keyring.MARGIN <= age < self._fresh + keyring.KEPT_WITHOUT_ANSWER else None
        if kept is not None and (0 <= age < self._fresh or 0 <= now - self._tried_at < self.PAUSE):
            return kept
        self._tried_at = now
        try:
            return self._read(now)
        except Unavailable:
            if kept is None:
                raise
            return kept

    def knowing(self, kid: str, now: int) -> keyring.Ring:
        """Return the ring read anew, because something names a key that it lacks.

        Raises `Unavailable` while that may not happen yet: five times in half a minute, however many ask. A key is
        in the ring before it signs, so one that was looked for in vain is not looked for again so soon; but it is
        later, for the store's reads may lag behind its writes.
        """
        looked_at = self._strangers.get(kid)
        if self._ring is not None and looked_at is not None and 0 <= now - looked_at < self.IN_SECONDS:
            return self._ring
        if len(self._rereads) == self.REREADS and 0 <= now - self._rereads[0] < self.IN_SECONDS:
            raise Unavailable(retry_after=self.IN_SECONDS)
        self._rereads.append(now)
        ring = self._read(now)
        if keyring.find(ring, kid) is None and len(kid) <= self.LONGEST_KID:
            self._strangers.pop(kid, None)
            if len(self._strangers) == self.STRANGERS:
                del self._strangers[next(iter(self._strangers))]
            self._strangers[kid] = now
        return ring

    def _read(self, now: int) -> keyring.Ring:
        try:
            ring, _ = self._store.read()
        except Misconfigured as error:
            raise Unavailable(retry_after=MENDING) from error
        if ring is None:
            raise Unavailable(retry_after=MENDING) from Misconfigured(
                "There is no key ring yet. Run: rolegate keys rotate."
            )
        self._ring, self._read_at = ring, now
        return ring

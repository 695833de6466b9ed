"""Key rings in Secrets Manager, changed by compare-and-swap, and as a function keeps them in memory."""

import uuid
from collections import deque
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from rolegate import keyring
from rolegate.errors import Misconfigured, Unavailable
from rolegate.stores import aws

CURRENT = "AWSCURRENT"


class RingStore:
    """One secret that holds a key ring. Every method raises `Unavailable` when it is out of reach."""

    def __init__(self, client: Any, secret: str) -> None:  # noqa: ANN401 - botocore's clients have no type of their own
        self._client = client
        self._secret = secret

    def read(self) -> tuple[keyring.Ring | None, str]:
        """Return the ring and its version; no ring in a stack whose first ones are still to be made."""
        with aws.reached():
            found = self._client.get_secret_value(SecretId=self._secret, VersionStage=CURRENT)
        return keyring.load(found["SecretString"]), found["VersionId"]

    def update(self, step: Callable[[keyring.Ring | None], keyring.Ring]) -> tuple[keyring.Ring, str]:
        """Replace the ring by what `step` makes of it; return the one in force then, and its version.

        Whoever comes second sees the first one's ring and asks `step` again. Raises `Unavailable` after five defeats.
        """
        for _ in range(5):
            ring, version = self.read()
            changed = step(ring)
            if changed == ring:
                return ring, version
            fresh = self._swap(keyring.dump(changed), version)
            if fresh is not None:
                return changed, fresh
        raise Unavailable

    def _swap(self, document: str, read: str) -> str | None:
        """Make `document` the current version unless another has come since `read`; then return None.

        Secrets Manager has no conditional write, but moves a staging label only away from the version it is said to
        be on (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html).
        """
        version = str(uuid.uuid4())
        label = f"rolegate-{version}"
        with aws.reached():
            self._client.put_secret_value(
                SecretId=self._secret, ClientRequestToken=version, SecretString=document, VersionStages=[label]
            )
            try:
                self._client.update_secret_version_stage(
                    SecretId=self._secret, VersionStage=CURRENT, MoveToVersionId=version, RemoveFromVersionId=read
                )
            except ClientError as error:
                if aws.code(error) not in ("InvalidParameterException", "InvalidRequestException"):
                    raise
                won = self._is_current(version)
            else:
                won = True
            self._client.update_secret_version_stage(
                SecretId=self._secret, VersionStage=label, RemoveFromVersionId=version
            )
        return version if won else None

    def _is_current(self, version: str) -> bool:
        """Tell whether our own move landed and only its answer got lost."""
        return bool(self._client.get_secret_value(SecretId=self._secret, VersionStage=CURRENT)["VersionId"] == version)


class Rings:
    """The ring that a function works with: kept in memory, read again when it is old or a token names another key.

    While the store does not answer, or holds nonsense, an old ring serves on, an hour at most: `keyring` counts on it.
    """

    REREADS, IN_SECONDS = 5, 30
    KEPT_WITHOUT_ANSWER = 3600  # seconds beyond its freshness
    PAUSE = 30  # seconds between two tries to replace a ring that still serves: each may wait for its time-out

    def __init__(self, store: RingStore, fresh_seconds: int = 300) -> None:
        self._store = store
        self._fresh = fresh_seconds
        self._ring: keyring.Ring | None = None
        self._read_at = 0
        self._next_try_at = 0
        self._rereads: deque[int] = deque(maxlen=self.REREADS)

    def ring(self, now: int) -> keyring.Ring:
        """Return the ring to work with.

        Raises `Unavailable` without any that may still be used, `Misconfigured` if what the store holds is why.
        """
        kept, age = self._ring, now - self._read_at
        usable = kept is not None and age < self._fresh + self.KEPT_WITHOUT_ANSWER
        if kept is not None and usable and (age < self._fresh or now < self._next_try_at):
            return kept
        self._next_try_at = now + self.PAUSE
        try:
            return self._reread(now)
        except (Unavailable, Misconfigured):
            if kept is not None and usable:
                return kept
            raise

    def reread(self, now: int) -> keyring.Ring:
        """Return the ring read anew, because a token names a key that it lacks.

        Raises `Unavailable` while that may not happen yet: five times in half a minute, however many tokens ask.
        """
        if len(self._rereads) == self.REREADS and now - self._rereads[0] < self.IN_SECONDS:
            raise Unavailable(retry_after=self.IN_SECONDS)
        self._rereads.append(now)
        return self._reread(now)

    def _reread(self, now: int) -> keyring.Ring:
        ring, _ = self._store.read()
        if ring is None:
            raise Unavailable from Misconfigured("There is no key ring yet. Invoke the stack's RotateKeysFunction.")
        self._ring, self._read_at = ring, now
        return ring

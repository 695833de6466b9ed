"""One's own CDN before the gateway, which knows the clients' addresses where the gateway sees the CDN's."""

from collections.abc import Callable
from typing import NamedTuple

SECRET = "x-edge-secret"  # noqa: S105 - a header's name
# It has a port: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/adding-cloudfront-headers.html
CLOUDFRONT = "cloudfront-viewer-address"


class Edge(NamedTuple):
    """A CDN that alone knows a secret, and sends it with each request; here only its hash is known.

    Only with it is the address taken from the header that the CDN writes: whoever comes past the CDN can write it too.
    """

    secret_sha256: str
    header: str  # in lower case

    def address(self, header: Callable[[str], str | None]) -> str | None:
        """Return the client's address, from the headers of a request that came over the CDN; else None."""
        if not self._verifies(header(SECRET) or ""):
            return None
        return _address(header(self.header) or "", with_port=self.header == CLOUDFRONT)

    def _verifies(self, secret: str) -> bool:
        import hashlib  # noqa: PLC0415 - few deployments have a CDN
        import hmac  # noqa: PLC0415

        return hmac.compare_digest(hashlib.sha256(secret.encode(errors="replace")).hexdigest(), self.secret_sha256)


def _address(told: str, *, with_port: bool) -> str | None:
    """Return the address in what a CDN says, if it is one; that of an IPv6 client may look like one with a port."""
    import ipaddress  # noqa: PLC0415 - few deployments have a CDN

    told = told.strip()
    if with_port or told.count(":") == 1 or "]:" in told:
        told = told.rpartition(":")[0]
    try:
        return str(ipaddress.ip_address(told.removeprefix("[").removesuffix("]")))
    except ValueError:
        return None

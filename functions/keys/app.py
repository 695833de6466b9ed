"""GET /.well-known/{document}: the public keys, and where to find them (RFC 7517, RFC 8414)."""

from rolegate import bootstrap, discovery, http

document = bootstrap.keys()


@bootstrap.endpoint
def handler(request: http.Request) -> http.Response:
    """Answer 200 with the document, 304 to whoever has it."""
    return http.document(document(request.parameter("document")), request, discovery.MAX_AGE)

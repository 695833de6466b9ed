"""What no function of any kind gets below."""


def handler(_event: object, _context: object) -> dict[str, object]:
    """Answer at once."""
    return {"policyDocument": {"Statement": [{"Effect": "Allow"}]}}

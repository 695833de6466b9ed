"""The public key set in an SSM parameter."""

from typing import Any

from rolegate.stores import aws

NONE = '{"keys":[]}'  # as a new stack's parameter says it


class Documents:
    """The one parameter that holds what verifiers fetch. Raises `Unavailable` when it is out of reach."""

    def __init__(self, client: Any, parameter: str) -> None:  # noqa: ANN401 - botocore's clients have no type of their own
        self._client = client
        self._parameter = parameter

    def read(self) -> str:
        """Return the published JWK set; without its parameter, which the next rotation makes anew, one of no keys."""
        try:
            with aws.reached():
                return str(self._client.get_parameter(Name=self._parameter)["Parameter"]["Value"])
        except aws.Refused as refused:
            if refused.code != "ParameterNotFound":
                raise
            return NONE

    def publish(self, document: str) -> None:
        """Replace the published JWK set; a parameter of the standard tier holds 4,096 bytes."""
        with aws.reached():
            self._client.put_parameter(Name=self._parameter, Value=document, Type="String", Overwrite=True)

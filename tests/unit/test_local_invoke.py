import pytest

from local.invoke import shown


def test_an_answer_is_made_readable() -> None:
    assert shown(b'{"statusCode":200,"body":"\xc3\xa9"}') == ('{\n  "statusCode": 200,\n  "body": "é"\n}', True)
    assert shown(b"null") == ("null", True)


@pytest.mark.parametrize(
    "answer", [b'{"errorMessage":"Unauthorized","errorType":"Unauthorized"}', b"Task timed out after 8.00 seconds"]
)
def test_an_error_and_a_time_out_are_no_success(answer: bytes) -> None:
    assert shown(answer)[1] is False

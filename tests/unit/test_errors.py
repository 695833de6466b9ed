"""What every outcome promises to whoever is told of it."""

import re

import pytest
from rolegate import errors


def kinds() -> list[type[errors.RolegateError]]:
    """Return every class of an outcome that there is."""
    return [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.RolegateError)]


@pytest.mark.parametrize("kind", kinds())
def test_an_outcome_has_a_code_for_programs_and_a_detail_for_people(kind: type[errors.RolegateError]) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.code)
    assert kind().detail == kind.detail == str(kind())
    assert kind("The field 'x' is missing.").detail == "The field 'x' is missing."


def test_no_two_outcomes_share_a_code() -> None:
    codes = [kind.code for kind in kinds()]
    assert len(set(codes)) == len(codes)


def test_a_spent_token_reads_like_any_revoked_one_and_only_its_code_tells() -> None:
    assert issubclass(errors.RefreshTokenReused, errors.RefreshTokenRevoked)
    assert errors.RefreshTokenReused.detail == errors.RefreshTokenRevoked.detail
    assert errors.RefreshTokenReused.code != errors.RefreshTokenRevoked.code


def test_unavailable_says_when_to_try_again() -> None:
    assert errors.Unavailable().retry_after == 1
    assert errors.Unavailable(retry_after=30).retry_after == 30


def test_too_many_attempts_says_when_there_is_room_again() -> None:
    assert errors.TooManyAttempts(retry_after=899).retry_after == 899


def test_a_misconfiguration_is_nothing_to_tell_a_client() -> None:
    assert not issubclass(errors.Misconfigured, errors.RolegateError)

import pytest
from rolegate.errors import Misconfigured
from rolegate.settings import Settings


def misconfigured(message: str) -> pytest.RaisesExc[Misconfigured]:
    return pytest.raises(Misconfigured, check=lambda error: str(error) == message)


@pytest.mark.parametrize("environ", [{}, {"NAME": ""}])
def test_a_missing_setting_is_named(environ: dict[str, str]) -> None:
    settings = Settings(environ)
    for read in (
        settings.text,
        settings.several,
        lambda name: settings.choice(name, "a"),
        lambda name: settings.whole(name, 0, 9),
    ):
        with misconfigured("The environment variable NAME is missing."):
            read("NAME")


def test_a_text_is_given_as_it_is() -> None:
    assert Settings({"NAME": " a b "}).text("NAME") == " a b "


def test_a_choice_is_one_of_those_allowed() -> None:
    assert Settings({"FORM": "iam"}).choice("FORM", "simple", "iam") == "iam"
    for wrong in ("IAM", "iam ", "simple,iam", "x"):
        with misconfigured(f"FORM is '{wrong}'. It must be one of: simple, iam."):
            Settings({"FORM": wrong}).choice("FORM", "simple", "iam")


@pytest.mark.parametrize(("value", "number"), [("0", 0), ("60", 60), ("007", 7)])
def test_a_whole_number_is_within_its_bounds(value: str, number: int) -> None:
    assert Settings({"GRACE": value}).whole("GRACE", 0, 60) == number


@pytest.mark.parametrize(
    "wrong", ["61", "-1", "+1", "1.0", "1e1", " 1", "1 ", "1_0", "0x1", "one", "½", "²", "0" * 10 + "61", "9" * 5000]
)
def test_any_other_number_is_told_the_bounds(wrong: str) -> None:
    with misconfigured(f"GRACE is '{wrong}'. It must be a whole number from 0 to 60."):
        Settings({"GRACE": wrong}).whole("GRACE", 0, 60)


@pytest.mark.parametrize("value", ["a,b", " a , b ", ",a,,b,"])
def test_a_list_is_comma_separated(value: str) -> None:
    assert Settings({"NAMES": value}).several("NAMES") == ("a", "b")


@pytest.mark.parametrize("value", [" ", ",", " , ,"])
def test_a_list_has_something_in_it(value: str) -> None:
    with misconfigured("The environment variable NAMES names nothing."):
        Settings({"NAMES": value}).several("NAMES")

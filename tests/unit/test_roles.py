import pytest
from hypothesis import given
from hypothesis import strategies as st
from rolegate import roles
from rolegate.errors import Misconfigured
from rolegate.roles import DEFAULT, Roles


def test_the_default_hierarchy_is_user_manager_admin() -> None:
    assert DEFAULT.levels == {"user": 1, "manager": 2, "admin": 3}
    assert min(DEFAULT.levels, key=DEFAULT.levels.__getitem__) == roles.LOWEST


@pytest.mark.parametrize(
    ("role", "scope"), [("user", "user"), ("manager", "user manager"), ("admin", "user manager admin")]
)
def test_the_scope_names_every_role_at_or_below_lowest_first(role: str, scope: str) -> None:
    assert DEFAULT.scope(role) == scope


def test_the_scope_follows_the_levels_and_not_the_order_of_writing() -> None:
    assert Roles({"admin": 30, "user": 1, "support": 20, "auditor": 20}).scope("admin") == "user support auditor admin"
    assert Roles({"admin": 30, "user": 1, "support": 20}).scope("support") == "user support"


@pytest.mark.parametrize("role", ["root", "", "Admin", "user manager"])
def test_a_role_that_is_not_in_the_hierarchy_is_a_mistake_that_names_those_that_are(role: str) -> None:
    for ask in (DEFAULT.level, DEFAULT.scope, lambda role: DEFAULT.reaches("user", role)):
        with pytest.raises(Misconfigured, match=rf"^There is no role '{role}'\. The roles are user, manager, admin\.$"):
            ask(role)


def test_an_unknown_role_reaches_nothing() -> None:
    assert not any(DEFAULT.reaches("root", minimum) for minimum in DEFAULT.levels)


HIERARCHIES = st.dictionaries(st.from_regex(r"[a-z0-9_-]+", fullmatch=True), st.integers(), min_size=1).map(Roles)


@given(HIERARCHIES, st.data())
def test_a_role_reaches_exactly_what_its_scope_names(hierarchy: Roles, data: st.DataObject) -> None:
    role, minimum = (data.draw(st.sampled_from(sorted(hierarchy.levels))) for _ in range(2))
    assert hierarchy.reaches(role, minimum) == (minimum in hierarchy.scope(role).split(" "))
    assert hierarchy.reaches(role, role)

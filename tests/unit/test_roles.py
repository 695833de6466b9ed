import pytest
from hypothesis import given
from hypothesis import strategies as st
from rolegate import roles
from rolegate.errors import Misconfigured
from rolegate.roles import DEFAULT, Roles


def test_the_default_hierarchy_is_user_manager_admin() -> None:
    assert DEFAULT.levels == {"user": 1, "manager": 2, "admin": 3}
    assert DEFAULT.lowest == "user"


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


def test_a_hierarchy_is_read_as_it_is_written() -> None:
    hierarchy = roles.parse("owner=30,viewer=10,editor=20,on-call_2=999999")
    assert hierarchy.levels == {"owner": 30, "viewer": 10, "editor": 20, "on-call_2": 999_999}
    assert hierarchy.lowest == "viewer"
    assert roles.parse("only=1").scope("only") == "only"
    assert len(roles.parse(",".join(f"r{n}={n}" for n in range(1, 33))).levels) == 32


NONSENSE = {
    "nothing": ("", "'' is no role and level"),
    "a comma": (",", "'' is no role and level"),
    "a comma at the end": ("user=1,", "'' is no role and level"),
    "no level": ("user", "'user' is no role and level"),
    "an empty level": ("user=", "'user=' is no role and level"),
    "no name": ("=1", "'=1' is no role and level"),
    "level 0": ("user=0", "'user=0' is no role and level"),
    "a level below 0": ("user=-1", "'user=-1' is no role and level"),
    "a level that is no whole number": ("user=1.5", "'user=1.5' is no role and level"),
    "a level with a zero before": ("user=01", "'user=01' is no role and level"),
    "a level too high": ("user=1000000", "'user=1000000' is no role and level"),
    "digits beyond ASCII": ("user=\u0661", "is no role and level"),
    "a capital": ("User=1", "'User=1' is no role and level"),
    "a space in a name": ("power user=1", "'power user=1' is no role and level"),
    "a space between": ("user=1, admin=2", "' admin=2' is no role and level"),
    "a line's end": ("user=1\n", "is no role and level"),
    "a name too long": (f"{'x' * 65}=1", "is no role and level"),
    "a name twice": ("user=1,user=2", "name 'user' twice"),
    "a level twice": ("user=1,admin=1", "give the level 1 twice"),
    "a scope of OpenID Connect": ("user=1,email=2", "No role can be named 'email'"),
    "too many": (",".join(f"r{n}={n}" for n in range(1, 34)), "There are 33 roles. At most 32"),
}


@pytest.mark.parametrize(("text", "complaint"), NONSENSE.values(), ids=NONSENSE)
def test_a_hierarchy_that_makes_no_sense_is_refused_with_the_reason(text: str, complaint: str) -> None:
    with pytest.raises(Misconfigured, match=complaint):
        roles.parse(text)


HIERARCHIES = st.dictionaries(st.from_regex(r"[a-z0-9_-]+", fullmatch=True), st.integers(), min_size=1).map(Roles)


@given(HIERARCHIES, st.data())
def test_a_role_reaches_exactly_what_its_scope_names(hierarchy: Roles, data: st.DataObject) -> None:
    role, minimum = (data.draw(st.sampled_from(sorted(hierarchy.levels))) for _ in range(2))
    assert hierarchy.reaches(role, minimum) == (minimum in hierarchy.scope(role).split(" "))
    assert hierarchy.reaches(role, role)


def test_equal_minimums_are_in_order_and_falling_ones_are_upside_down() -> None:
    roles.check("viewer=1,owner=2", ["viewer", "owner", "owner"])
    roles.check("viewer=1,owner=2", ["viewer", "viewer", "viewer"])
    with pytest.raises(Misconfigured, match=r"would ask for owner, viewer, owner, which is not from low to high"):
        roles.check("viewer=1,owner=2", ["owner", "viewer", "owner"])
    with pytest.raises(Misconfigured, match="no role 'admin'"):
        roles.check("viewer=1,owner=2", ["viewer", "owner", "admin"])

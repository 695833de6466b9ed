import pytest

from local.calibrate import COSTS, MEMORIES, PATIENCE, Measured, check, highest, measure, on_lambda, report, share


@pytest.mark.parametrize(("memory", "part"), [(1769, 1.0), (3008, 1.0), (10_240, 1.0), (512, 512 / 1769)])
def test_one_thread_gets_its_part_of_a_core_and_never_more_than_one(memory: int, part: float) -> None:
    assert share(memory) == part
    assert on_lambda(0.1, memory) == pytest.approx(0.1 / part)


@pytest.mark.parametrize(("memory", "cost"), [(1769, 12), (3008, 12), (1024, 11), (512, 10), (128, None)], ids=str)
def test_the_highest_cost_whose_check_is_quick_enough_is_chosen(memory: int, cost: int | None) -> None:
    assert highest({10: 0.075, 11: 0.15, 12: 0.3, 13: 0.6}, memory) == cost


def test_a_check_that_would_take_too_long_is_reckoned() -> None:
    tried: list[int] = []

    def slow(cost: int) -> float:
        tried.append(cost)
        return 0.3 * (1 << (cost - 10))

    found = measure(slow)
    assert list(found) == list(COSTS)
    assert [cost for cost, one in found.items() if one.reckoned] == [14, 15]
    assert set(tried) == {10, 11, 12, 13}
    assert found[13].seconds < PATIENCE < found[14].seconds == 2 * found[13].seconds
    assert found[15].seconds == 2 * found[14].seconds


def test_a_busy_moment_changes_nothing() -> None:
    times = iter([0.01, 9.0, 0.01, 0.01, 0.01])
    assert measure(lambda cost: next(times, 0.01 * 2 ** (cost - 10)))[10] == Measured(0.01)


def test_the_report_has_every_cost_and_every_size_and_names_the_parameter() -> None:
    lines = list(report({cost: Measured(0.05 * 2 ** (cost - 10), reckoned=cost > 13) for cost in COSTS}))
    header, *rows = lines[2 : 3 + len(COSTS)]
    assert header.split()[0] == "BcryptCost"
    assert [f"{memory} MB" in header for memory in MEMORIES] == [True] * 4
    assert [int(row.split()[0]) for row in rows] == list(COSTS)
    assert rows[0].split() == ["10", "50", "~173", "~86", "~50", "~50"]
    assert rows[-1].split()[1] == "~1,600"
    text = "\n".join(lines)
    assert "BcryptCost=12 is the highest that stays at or below 300 ms at 1769 MB." in text
    assert "This machine is not Lambda's." in text
    assert "REPORT" in text


def test_a_machine_that_is_too_slow_for_any_cost_is_told_so() -> None:
    text = "\n".join(report({cost: Measured(0.5) for cost in COSTS}))
    assert "Even BcryptCost=10, the lowest, takes more than 300 ms at 1769 MB" in text


def test_a_check_takes_this_machine_some_time() -> None:
    assert check(4) > 0

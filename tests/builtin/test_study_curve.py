from fiat.builtin.study_curve import MOST_VALUES, Curve, thinned


def test_a_short_curve_is_kept_whole() -> None:
    curve = Curve([(1, 0.1)])
    curve.add([(2, 0.2), (None, 0.3)])
    assert curve.values == ((1, 0.1), (2, 0.2), (None, 0.3))
    assert curve.n_reports == 3


def test_of_a_long_one_the_first_and_the_last_stay_and_all_are_counted() -> None:
    curve = Curve()
    for step in range(25 * MOST_VALUES):
        curve.add([(step, float(step))])
    kept = curve.values
    assert len(kept) <= MOST_VALUES
    assert (kept[0], kept[-1]) == ((0, 0.0), (25 * MOST_VALUES - 1, float(25 * MOST_VALUES - 1)))
    assert list(kept) == sorted(kept)
    assert curve.n_reports == 25 * MOST_VALUES


def test_what_goes_on_from_a_place_keeps_what_was_before_it() -> None:
    curve = Curve([(1, 0.1), (2, 0.2), (3, 0.3)])
    assert curve.before(3).values == ((1, 0.1), (2, 0.2))
    assert curve.before(0).values == ()
    assert curve.before(None).values == ()
    assert Curve().before(5).n_reports == 0
    assert curve.values == ((1, 0.1), (2, 0.2), (3, 0.3))


def test_the_count_of_a_part_is_its_share() -> None:
    assert Curve([(10, 0.1), (20, 0.2), (30, 0.3), (40, 0.4)], 400).before(30).n_reports == 200


def test_thinning_out_what_is_short_changes_nothing() -> None:
    assert thinned([(1, 0.5)]) == ((1, 0.5),)
    assert len(thinned([(step, 0.0) for step in range(MOST_VALUES + 1)])) <= MOST_VALUES

from fiat.builtin.page_plots import evaluation_figures


def test_of_many_classes_only_the_largest_confusions_are_listed() -> None:
    n_classes = 50
    counts = [[9 if row == column else 0 for column in range(n_classes)] for row in range(n_classes)]
    counts[3][4], counts[7][1] = 5, 8
    plot = {"labels": [f"c{number}" for number in range(n_classes)], "counts": counts, "unpredicted": 2}
    (figure,) = evaluation_figures({"confusion": plot})
    assert figure.chart == ""
    assert figure.rows == (("c7", "c1", "8", "47.1%"), ("c3", "c4", "5", "35.7%"))
    assert figure.caption == "Of 50 classes. 2 rows had no usable prediction."


def test_curves_stand_worst_first_and_only_the_worst_are_named() -> None:
    curves = [{"label": f"c{k}", "fpr": [0, 1], "tpr": [0, 1], "auc": 0.9 + k / 100} for k in range(6)]
    (figure,) = evaluation_figures({"roc": {"curves": curves}})
    places = [figure.chart.find(f">c{k}<") for k in range(6)]
    assert places[:4] == sorted(places[:4])
    assert places[4:] == [-1, -1]
    assert "2 more, higher" in figure.chart

"""A run's parameters in MLflow: one for each setting, whatever it stands in."""

from tasks.describe_run import flat_keys


def test_settings_of_sections_and_of_lists_of_sections_have_dotted_names():
    values = {"model": {"base": "b", "languages": None}, "objective": [{"kind": "supervised"}, {"kind": "preference", "beta": 0.1}]}
    assert flat_keys(values) == {
        "model.base": "b", "model.languages": None, "objective.1.kind": "supervised", "objective.2.kind": "preference",
        "objective.2.beta": 0.1,
    }  # fmt: skip


def test_lists_of_plain_values_and_empty_sections_stay_as_they_are():
    assert flat_keys({"slices": ["a", "b"], "floors": {}, "scorers": []}) == {"slices": ["a", "b"], "floors": {}, "scorers": []}

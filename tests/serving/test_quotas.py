"""What one key may take: what is too much now is told when to come back, and what always is how to send it."""

import pytest

from configs.schema import Serving
from tasks.serving.http.auth import PLAIN, Caller
from tasks.serving.http.messages import Refusal
from tasks.serving.http.quotas import Quotas
from tasks.serving.text_preparation import MOST_WAITING

APP = Caller("app", PLAIN)


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(
    ("settings", "most"), [({"texts_per_minute": 5}, 5), ({"max_waiting": 8, "key_share": 0.5}, 4), ({"max_waiting": 1}, 1)]
)
def test_more_than_can_ever_be_sent_is_refused_with_how_many_can(settings, most):
    quotas = Quotas(Serving(**settings), Clock())
    with pytest.raises(Refusal) as caught, quotas.texts(APP, ["a"] * (most + 1)):
        pass
    assert caught.value.status == 422 and f"at most {most} at once" in caught.value.fault["remedy"]
    assert not caught.value.headers and str(most + 1) in caught.value.fault["what"]
    with quotas.texts(APP, ["a"] * most):
        pass


@pytest.mark.parametrize("count", [1, 59, 60])
@pytest.mark.parametrize("passed", [0.0, 0.3, 30.0, 59.99999])
def test_whoever_comes_back_when_told_is_answered(count, passed):
    clock = Clock()
    quotas = Quotas(Serving(texts_per_minute=60), clock)
    with quotas.texts(APP, ["a"] * 60):
        pass
    clock.now = passed
    for attempt in range(3):
        try:
            with quotas.texts(APP, ["a"] * count):
                return
        except Refusal as refusal:
            assert refusal.status == 429 and attempt == 0
            seconds = int(refusal.headers["Retry-After"])
            assert seconds >= 1
            clock.now += seconds
    pytest.fail("never answered")


def test_a_key_has_its_share_of_the_characters_that_wait_and_one_request_of_any_size():
    quotas, large = Quotas(Serving(key_share=0.5)), ["a" * (MOST_WAITING // 2 + 1)]
    with quotas.texts(APP, large):
        with pytest.raises(Refusal, match="characters of this key are waiting") as caught, quotas.texts(APP, ["a"]):
            pass
        assert caught.value.status == 429 and caught.value.headers == {"Retry-After": "1"}
        with quotas.texts(Caller("other", PLAIN), ["a"]):
            pass
    with quotas.texts(APP, ["a"]), pytest.raises(Refusal, match="characters"), quotas.texts(APP, large):
        pass
    with quotas.texts(APP, large):
        pass

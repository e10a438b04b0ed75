"""Whoever asks gets their own answers, in batches that nobody waits for without need."""

import asyncio
import threading

import pytest

from tasks.serving.batcher import Batcher, Limits, ModelFailure, NoModel, Prediction, QueueFull


class Shouting:
    """Answers in capitals; `gate` holds it up, `batches` is what it was asked at once; it cannot read `?`."""

    def __init__(self, version="1"):
        self.version, self.batches, self.gate = version, [], threading.Event()
        self.gate.set()

    def answers(self, texts):
        self.batches.append(list(texts))
        assert self.gate.wait(20)
        if "?" in texts:
            raise ValueError("cannot read ?")
        return [Prediction(text, text.upper(), 1.0) for text in texts]


class World:
    """A batcher with its model in a running loop."""

    def __init__(self, batch=8, wait=0.0, waiting=1000):
        self.model, self.seen = Shouting(), []
        self.batcher = Batcher(lambda: self.model, Limits(batch, wait, waiting), lambda *one: self.seen.append(one))

    async def ask(self, *texts):
        version, said = await self.batcher.answer(texts)
        return version, [one.prediction for one in said]

    async def held(self, *texts):
        """Ask, and come back when the model has begun on it and is held up."""
        self.model.gate.clear()
        before = len(self.model.batches)
        task = asyncio.create_task(self.ask(*texts))
        while len(self.model.batches) == before:
            await asyncio.sleep(0.001)
        return task


def story(world, tell):
    """Run a story to its end, with the batcher closed after it."""

    async def whole():
        try:
            await asyncio.wait_for(tell(world), 20)
        finally:
            world.model.gate.set()
            await world.batcher.close()

    asyncio.run(whole())


def test_everyone_gets_their_own_answers_in_their_order():
    async def tell(world):
        asked = [[f"t{number}-{place}" for place in range(number % 20 + 1)] for number in range(60)]
        answers = await asyncio.gather(*(world.ask(*texts) for texts in asked))
        assert answers == [("1", [text.upper() for text in texts]) for texts in asked]
        assert all(len(batch) <= 8 for batch in world.model.batches)
        assert world.batcher.waiting == 0
        assert sum(rows for rows, _ in world.seen) == sum(map(len, asked))
        assert await world.ask() == ("1", [])

    story(World(), tell)


def test_what_comes_while_a_batch_is_answered_is_the_next_batch():
    async def tell(world):
        first = await world.held("a")
        rest = [asyncio.create_task(world.ask(text)) for text in "bcdef"]
        await asyncio.sleep(0.05)
        world.model.gate.set()
        await asyncio.gather(first, *rest)
        assert world.model.batches == [["a"], list("bcdef")]

    story(World(), tell)


def test_one_caller_alone_does_not_wait_for_a_batch_to_fill():
    async def tell(world):
        for _ in range(3):
            await world.ask("a")
        assert world.model.batches == [["a"]] * 3

    story(World(wait=3600), tell)  # an hour, for which no story has the time


def test_callers_who_ask_again_as_soon_as_they_are_answered_meet_in_one_batch():
    async def client(world, name):
        for turn in range(10):
            await world.ask(f"{name}{turn}")

    async def tell(world):
        first = await world.held("a")
        clients = [asyncio.create_task(client(world, name)) for name in "stuvwx"]
        await asyncio.sleep(0.05)
        world.model.gate.set()
        await asyncio.gather(first, *clients)
        assert [len(batch) for batch in world.model.batches] == [1, *[6] * 10]

    story(World(wait=5), tell)


def test_a_large_request_does_not_hold_up_a_small_one_behind_it():
    async def tell(world):
        first = await world.held("a")
        order = []
        large = asyncio.create_task(world.ask(*"0123456789" * 4))
        large.add_done_callback(lambda _: order.append("large"))
        await asyncio.sleep(0.02)
        small = asyncio.create_task(world.ask("s"))
        small.add_done_callback(lambda _: order.append("small"))
        await asyncio.sleep(0.02)
        world.model.gate.set()
        await asyncio.gather(first, large, small)
        assert order == ["small", "large"]
        assert large.result() == ("1", list("0123456789" * 4))

    story(World(), tell)


def test_more_than_may_wait_is_refused_at_once_and_taken_again_later():
    async def tell(world):
        first = await world.held("a")
        second = asyncio.create_task(world.ask(*"bcd"))
        await asyncio.sleep(0.01)
        with pytest.raises(QueueFull):
            await world.ask("e", "f")
        assert world.batcher.waiting == 4
        world.model.gate.set()
        await asyncio.gather(first, second)
        assert await world.ask(*"efghi") == ("1", list("EFGHI"))

    story(World(waiting=5), tell)


def test_a_text_that_no_model_can_read_fails_its_own_request_alone():
    async def tell(world):
        first = await world.held("a")
        others = [asyncio.create_task(world.ask(*texts)) for texts in ("bc", "d?", "ef")]
        await asyncio.sleep(0.02)
        world.model.gate.set()
        done = await asyncio.gather(first, *others, return_exceptions=True)
        assert done[0] == ("1", ["A"]) and done[1] == ("1", ["B", "C"]) and done[3] == ("1", ["E", "F"])
        assert isinstance(done[2], ModelFailure) and "cannot read" in str(done[2].__cause__)
        assert await world.ask("g") == ("1", ["G"])

    story(World(), tell)


def test_a_caller_who_left_is_not_answered():
    async def tell(world):
        first = await world.held("a")
        left = asyncio.create_task(world.ask("b"))
        await asyncio.sleep(0.01)
        left.cancel()
        await asyncio.sleep(0.01)
        assert world.batcher.waiting == 1
        world.model.gate.set()
        await first
        await world.ask("c")
        assert world.model.batches == [["a"], ["c"]]

    story(World(), tell)


def test_what_is_under_way_is_answered_by_the_version_it_began_with():
    async def tell(world):
        old = world.model
        first = await world.held(*"0123456789" * 3)
        world.model = Shouting("2")
        after = asyncio.create_task(world.ask("new"))
        await asyncio.sleep(0.01)
        old.gate.set()
        assert (await first)[0] == "1" and (await after)[0] == "2"
        assert sum(map(len, old.batches)) == 30 and world.model.batches == [["new"]]

    story(World(), tell)


def test_without_a_model_nothing_is_answered():
    async def tell(world):
        model, world.model = world.model, None
        with pytest.raises(NoModel):
            await world.ask("a")
        world.model = model

    story(World(), tell)


def test_closing_answers_what_waits_and_then_no_more():
    async def tell(world):
        first = await world.held("a")
        waiting = [asyncio.create_task(world.ask(*texts)) for texts in ("b", "0123456789" * 2)]
        await asyncio.sleep(0.01)
        closing = asyncio.create_task(world.batcher.close())
        await asyncio.sleep(0.01)
        with pytest.raises(NoModel):
            await world.ask("late")
        world.model.gate.set()
        await closing
        assert [len(said) for _, said in await asyncio.gather(first, *waiting)] == [1, 1, 20]

    story(World(), tell)


def test_long_texts_share_a_batch_with_no_more_than_fit_and_short_ones_are_not_kept_waiting_by_all_of_them():
    async def tell(world):
        first = await world.held("first")
        long = asyncio.create_task(world.ask(*["a" * 40] * 3))
        await asyncio.sleep(0.01)
        short = asyncio.create_task(world.ask("b", "c"))
        await asyncio.sleep(0.01)
        world.model.gate.set()
        await asyncio.gather(first, long, short)
        assert [[text[0] for text in batch] for batch in world.model.batches[1:]] == [["a", "b", "c"], ["a"], ["a"]]

    world = World()
    asyncio.run(world.batcher.close())
    world.batcher = Batcher(lambda: world.model, Limits(8, 0.0, 1000, 50), lambda *one: world.seen.append(one))
    story(world, tell)


def test_a_caller_that_asks_much_is_answered_by_turns_with_the_others():
    async def tell(world):
        held = await world.held("first")
        much = [asyncio.create_task(world.batcher.answer([f"much {n}"], caller="much")) for n in range(40)]
        large = asyncio.create_task(world.batcher.answer([f"large {n}" for n in range(40)], caller="large"))
        await asyncio.sleep(0)
        little = asyncio.create_task(world.batcher.answer(["little"], caller="little"))
        await asyncio.sleep(0)
        world.model.gate.set()
        await asyncio.gather(held, large, little, *much)
        place = next(place for place, batch in enumerate(world.model.batches) if "little" in batch)
        assert place <= 2  # behind what had begun and one batch, not behind the ten of the others

    story(World(), tell)

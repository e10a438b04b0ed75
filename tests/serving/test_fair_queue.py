"""One has a turn at a time, callers one after another, and whoever leaves takes none with it."""

import asyncio

import pytest

from tasks.serving.fair_queue import FairLock, TurnQueue


def test_a_turn_goes_on_whether_its_block_fails_or_whoever_waits_for_it_leaves():
    async def story():
        turns, order = FairLock(), []

        async def work(caller, name, gate):
            async with turns.turn(caller):
                order.append(name)
                await gate.wait()
                if name == "fails":
                    raise ValueError

        gates = [asyncio.Event() for _ in range(6)]
        names = [("a", "fails"), ("a", "leaves"), ("a", "a3"), ("b", "b1"), ("b", "late"), ("c", "c1")]
        tasks = [asyncio.create_task(work(*each, gate)) for each, gate in zip(names, gates, strict=True)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        gates[0].set()
        with pytest.raises(ValueError):
            await tasks[0]
        await asyncio.sleep(0)
        assert order == ["fails", "b1"]
        gates[3].set()
        while "c1" not in order:
            await asyncio.sleep(0)
        tasks[5].cancel()  # it has its turn
        for gate in gates:
            gate.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert order == ["fails", "b1", "c1", "a3", "late"]
        assert (
            all(isinstance(results[place], asyncio.CancelledError) for place in (1, 5)) and not turns._taken and not turns._waiting
        )

    asyncio.run(story())


def test_whoever_leaves_as_its_turn_comes_passes_it_on():
    async def story():
        turns, order = FairLock(), []

        async def work(caller):
            async with turns.turn(caller):
                order.append(caller)

        async with turns.turn("a"):
            gone, last = [asyncio.create_task(work(caller)) for caller in "bc"]
            await asyncio.sleep(0)
        assert turns._taken  # by whoever leaves before it knows
        gone.cancel()
        await last
        assert order == ["c"] and gone.cancelled()
        assert not turns._taken and not turns._waiting

    asyncio.run(story())


def test_of_what_waits_callers_have_turns_and_each_keeps_the_order_of_its_own():
    waiting = TurnQueue()
    for caller, item in (("a", 1), ("a", 2), ("a", 3), ("b", 10), ("c", 20), ("b", 11)):
        waiting.add(caller, item)
    assert len(waiting) == 6 and waiting.first() == 1
    assert [waiting.take() for _ in range(4)] == [1, 10, 20, 2]
    waiting.add("c", 21)
    assert [waiting.take() for _ in range(len(waiting))] == [11, 3, 21] and not waiting


def test_what_is_not_wanted_any_more_leaves_no_caller_behind():
    waiting = TurnQueue()
    for item in range(6):
        waiting.add("odd" if item % 2 else "even", item)
    waiting.keep(lambda item: item % 2 == 0)
    assert list(waiting) == [0, 2, 4] and [waiting.take() for _ in range(3)] == [0, 2, 4] and not waiting

"""One has a turn at a time, callers one after another, and whoever leaves takes none with it."""

import asyncio

import pytest

from tasks.serving.fair_queue import FairLock


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

"""Answers are written together, joining and leaving between any two steps, as each would be written alone."""

import asyncio
import gc
import random
import time
import weakref
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import tiny
from serving_parts import TEXTS, version

from configs.schema import Full
from tasks.serving.batcher import ModelFailure, NoModel, QueueFull
from tasks.serving.generation.draft import AnswerRequest
from tasks.serving.generation.engine import EngineLimits, GenerationEngine
from tasks.serving.generation.sampling import Sampling

PROMPTS = [" ".join(text.split()[: 1 + place % 9]) for place, text in enumerate(TEXTS)]
GREEDY = Sampling(0, 1, 0)
STORIES = Path(__file__).parents[3] / "shared" / "data" / "stories260K"


def packaged(base, folder, problem, **settings):
    from tasks.serving.packaged_model import load_package

    return load_package(version(folder, base, 1, problem=problem, **settings), base, folder, {})


def writer_of(kept, name="1"):
    from tasks.serving.predictor import make_ready

    return make_ready(name, kept).writer


@pytest.fixture(scope="module", params=["text-generation", "text2text-generation", "t5"])
def kept(request, llama_folder, bart_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    if request.param == "t5":
        return packaged(tiny.seq2seq(folder / "base", "T5"), folder, "text2text-generation")
    return packaged({"text-generation": llama_folder}.get(request.param, bart_folder), folder, request.param)


@pytest.fixture(scope="module")
def expected(kept):
    """What the kept model writes by itself, greedily; asked before its adapters are merged."""
    return kept.predict(PROMPTS)["text"].tolist()


@pytest.fixture(scope="module")
def writer(kept, expected):
    return writer_of(kept)


@pytest.fixture(scope="module")
def decoder(llama_folder, tmp_path_factory):
    return writer_of(packaged(llama_folder, tmp_path_factory.mktemp("decoder"), "text-generation"))


@asynccontextmanager
async def running(rows=8, waiting=100, **limits):
    steps = []
    engine = GenerationEngine(EngineLimits(rows, waiting, **limits), lambda count, seconds: steps.append(count))
    engine.steps = steps
    try:
        yield engine
    finally:
        await asyncio.wait_for(engine.close(), 20)


def order(writer, text, sampling=GREEDY, most=None, stops=()):
    return AnswerRequest(writer.read_prompt(text), most or writer.answer_tokens, sampling, stops)


async def answers(engine, writer, orders, by_step=False):
    async with engine.write(writer, orders, by_step) as writing:
        await writing.wait_until_done()
        return [draft.text for draft in writing.drafts]


def test_greedy_answers_are_those_of_the_kept_model_whenever_rows_come_and_go(writer, expected):
    draw = random.Random(3)

    async def ask(engine, place):
        await asyncio.sleep(draw.random() * 0.2)
        return (await answers(engine, writer, [order(writer, PROMPTS[place])], by_step=place % 2 == 0))[0]

    async def go():
        async with running() as engine:
            said = await asyncio.gather(*(ask(engine, place) for place in range(len(PROMPTS))))
            return said, max(engine.steps)

    said, most = asyncio.run(go())
    assert said == expected and 1 < most <= 8


def test_many_answers_of_one_request_come_in_their_order(writer, expected):
    async def go():
        async with running(rows=5, prompt_tokens=12) as engine:
            return await answers(engine, writer, [order(writer, text) for text in PROMPTS]), max(engine.steps)

    assert asyncio.run(go()) == (expected, 5)


def test_the_same_seed_gives_the_same_answer_alone_and_in_any_company(writer):
    async def go():
        sampled = order(writer, PROMPTS[4], Sampling(1.5, 0.9, 11))
        others = [order(writer, text, Sampling(2, 1, place)) for place, text in enumerate(PROMPTS)]
        async with running() as engine:
            alone = await answers(engine, writer, [sampled])
            company = await asyncio.gather(answers(engine, writer, others[:20]), answers(engine, writer, [sampled, *others[20:]]))
            return alone[0], company[1][0], company[0]

    alone, company, others = asyncio.run(go())
    assert alone == company and len(set(others)) > 5


@pytest.mark.skipif(not STORIES.is_dir(), reason="the real weights of stories260K are not on this machine")
def test_a_real_model_tells_the_stories_that_it_tells_by_itself(tmp_path):
    kept = packaged(STORIES, tmp_path, "text-generation", max_length=256, new_tokens=60, spread=0.0, texts=["Once"])
    prompts = ["Once upon a time", "The little dog", "Lily and Tom went to the park. They saw", "Ben — the “boy” — said: 你好"]
    expected = kept.predict(prompts)["text"].tolist()
    writer = writer_of(kept)

    async def go():
        async with running(rows=3) as engine:
            return await asyncio.gather(*(answers(engine, writer, [order(writer, text)]) for text in prompts))

    assert [said for (said,) in asyncio.run(go())] == expected


def test_an_answer_has_no_more_tokens_than_were_ordered_and_says_why_it_ended(decoder):
    async def go():
        async with running() as engine, engine.write(decoder, [order(decoder, text, most=3) for text in PROMPTS]) as writing:
            await writing.wait_until_done()
            return [(draft.reason, draft.tokens) for draft in writing.drafts]

    ended = asyncio.run(go())
    assert {tokens for reason, tokens in ended if reason == "length"} == {3}
    assert all(tokens <= 3 for reason, tokens in ended if reason == "stop")


def test_who_goes_leaves_a_free_place_and_what_waited_for_it_is_written(decoder):
    async def go():
        async with running(rows=2, waiting=5) as engine:
            long = [order(decoder, "kale", Sampling(2, 1, place), most=31) for place in range(2)]
            async with engine.write(decoder, long, by_step=True) as writing:
                await writing.wait_for_change()
                waiting = asyncio.create_task(answers(engine, decoder, [order(decoder, "kale")]))
                await asyncio.sleep(0)
                with pytest.raises(QueueFull):
                    await answers(engine, decoder, [order(decoder, "kale")] * 3)
            await waiting
            return engine.waiting

    assert asyncio.run(go()) == 0


def test_who_asks_for_much_is_written_by_turns_with_the_others(decoder):
    async def go():
        ended = []

        async def ask(engine, caller, requests):
            async with engine.write(decoder, requests, caller=caller) as writing:
                await writing.wait_until_done()
            ended.append(caller)

        async with running(rows=2) as engine:
            first = asyncio.create_task(ask(engine, "much", [order(decoder, "kale", Sampling(2, 1, 0), most=31)] * 2))
            more = [asyncio.create_task(ask(engine, "much", [order(decoder, "kale", most=3)])) for _ in range(30)]
            await asyncio.sleep(0)
            await asyncio.gather(first, *more, asyncio.create_task(ask(engine, "little", [order(decoder, "kale", most=3)])))
        return ended

    ended = asyncio.run(go())
    assert ended.index("little") < 8 and len(ended) == 32


def test_callers_who_come_and_go_leave_nothing_behind(decoder):
    async def go():
        async with running(rows=1, waiting=3) as engine:
            async with engine.write(decoder, [order(decoder, "kale", Sampling(2, 1, 0), most=31)]):
                for _ in range(200):
                    async with engine.write(decoder, [order(decoder, "kale")] * 2):
                        pass
                await asyncio.sleep(0.05)
                pending = len(engine._pending)
            await answers(engine, decoder, [order(decoder, "kale")])
            return pending, engine.waiting, len(engine._pending), engine._by_version

    assert asyncio.run(go()) == (pytest.approx(0, abs=3), 0, 0, {})


def test_two_versions_write_side_by_side_and_the_one_that_is_left_is_freed(llama_folder, tmp_path):
    writers = [writer_of(packaged(llama_folder, tmp_path / name, "text-generation"), name) for name in "12"]

    async def go():
        async with running() as engine:
            both = await asyncio.gather(*(answers(engine, one, [order(one, text) for text in PROMPTS[:6]]) for one in writers * 2))
            left = weakref.ref(writers[0].network.model)
            writers.pop(0)
            await answers(engine, writers[0], [order(writers[0], "kale")])
            await asyncio.sleep(0.05)
            gc.collect()
            return both, left()

    both, left = asyncio.run(go())
    assert both[0] == both[1] == both[2] == both[3] and left is None


class Breaking:
    """A writer whose batches fail where a prompt holds a token; `at_step`: not when it is read, but at the next step."""

    def __init__(self, writer, token, at_step):
        self.writer, self.token, self.at_step = writer, token, at_step

    def __getattr__(self, name):
        return getattr(self.writer, name)

    def open_batch(self):
        batch, breaking = self.writer.open_batch(), self

        class Batch:
            can_join, keep, held = batch.can_join, batch.keep, False

            def add(self, prompts):
                bad = any(breaking.token in prompt for prompt in prompts)
                if bad and not breaking.at_step:
                    raise RuntimeError("no such token, at /some/place")
                self.held |= bad
                return batch.add(prompts)

            def step(self, tokens):
                if self.held:
                    raise RuntimeError("no such token, at /some/place")
                return batch.step(tokens)

        return Batch()


@pytest.mark.parametrize("at_step", [False, True])
def test_a_prompt_that_the_network_cannot_read_fails_its_own_request_and_the_thread_goes_on(decoder, at_step):
    bad = decoder.read_prompt("north").tokens[0]
    breaking = Breaking(decoder, bad, at_step)

    async def go():
        async with running() as engine:
            first = asyncio.create_task(answers(engine, breaking, [order(decoder, "north kale")]))
            others = [asyncio.create_task(answers(engine, breaking, [order(decoder, "kale lost")])) for _ in range(3)]
            said = await asyncio.gather(first, *others, return_exceptions=True)
            assert isinstance(said[0], ModelFailure) and "no such token" in str(said[0])
            assert at_step or said[1] == said[2] == said[3]
            return said[1:], await answers(engine, breaking, [order(decoder, "kale lost")])

    others, later = asyncio.run(go())
    assert later[0] and (at_step or others == [later] * 3)


def test_at_the_end_what_somebody_waits_for_is_written_and_later_calls_are_refused(decoder):
    async def go():
        async with running() as engine:
            waiting = asyncio.create_task(answers(engine, decoder, [order(decoder, text) for text in PROMPTS]))
            await asyncio.sleep(0)
            await engine.close()
            with pytest.raises(NoModel):
                await answers(engine, decoder, [order(decoder, "kale")])
            return await waiting

    assert len(asyncio.run(go())) == len(PROMPTS)


def test_an_idle_engine_does_nothing(decoder):
    async def go():
        async with running() as engine:
            await answers(engine, decoder, [order(decoder, "kale")])
            began = time.process_time()
            await asyncio.sleep(0.3)
            return time.process_time() - began

    assert asyncio.run(go()) < 0.1


def test_what_a_base_says_of_decoding_holds_as_it_does_for_predict(tmp_path):
    import json

    base = tiny.llama(tmp_path / "base")
    settings = base / "generation_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "repetition_penalty": 1.8, "no_repeat_ngram_size": 2}))
    kept = packaged(base, tmp_path, "text-generation")
    expected = kept.predict(PROMPTS)["text"].tolist()
    writer = writer_of(kept)

    async def go():
        async with running() as engine:
            return await answers(engine, writer, [order(writer, text) for text in PROMPTS])

    assert asyncio.run(go()) == expected


@pytest.mark.parametrize("kind", ["GPT2", "Mistral", "GPTNeoX", "Bloom", "OPT"])
def test_networks_of_other_kinds_write_as_they_do_by_themselves(tmp_path, kind):
    import transformers

    shapes = {
        "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64},
        "Mistral": {"num_key_value_heads": 1, "sliding_window": 6, "max_position_embeddings": 64},
        "GPTNeoX": {"max_position_embeddings": 64},
        "Bloom": {"n_layer": 2, "n_head": 2},
        "OPT": {"ffn_dim": 64, "max_position_embeddings": 64, "word_embed_proj_dim": 32},
    }
    model = getattr(transformers, {"GPT2": "GPT2LMHeadModel"}.get(kind, f"{kind}ForCausalLM"))
    base = tiny.base(tmp_path / "base", model, getattr(transformers, f"{kind}Config"), wrap=False, **shapes[kind])
    kept = packaged(base, tmp_path, "text-generation", spread=1.0)
    expected = kept.predict(PROMPTS)["text"].tolist()
    writer = writer_of(kept)

    async def go():
        async with running(rows=4) as engine:
            return await asyncio.gather(*(answers(engine, writer, [order(writer, text)]) for text in PROMPTS))

    assert [said for (said,) in asyncio.run(go())] == expected


def test_a_network_that_remembers_otherwise_than_by_keys_and_values_gets_no_writer(tmp_path):
    import transformers

    shape = {"hidden_size": 32, "state_size": 4, "num_hidden_layers": 2}
    base = tiny.base(tmp_path / "base", transformers.MambaForCausalLM, transformers.MambaConfig, wrap=False, **shape)
    kept = packaged(base, tmp_path, "text-generation", adapter=Full())
    assert kept.predict(["kale"])["text"].notna().all() and writer_of(kept) is None

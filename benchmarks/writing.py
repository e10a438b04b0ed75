"""Texts that many callers ask for at once, beside one at a time: the service's running batch against `generate`.

Run: python -m benchmarks.writing [rounds]

The same prompts, greedily, by the same weights in the same process: one after another as /predict writes a single text; in fixed
batches; through the engine, all at once and as callers who come one after another; over HTTP, by the engine. All have to say the
same. A Llama of random weights stands for a network whose weights take time to read; stories260K is measured where it is.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.clients import ROOT

sys.path.insert(0, str(ROOT / "tests" / "serving"))
sys.path.insert(0, str(ROOT / "tests"))
STORIES = ROOT.parent / "shared" / "data" / "stories260K"
OPENINGS = (
    "Once upon a time",
    "The little dog",
    "Lily and Tom went to the park. They saw",
    "One day, a boy named Max",
    "She was so",
)
PROMPTS, ROWS, TOKENS = 48, 16, 64
ROUNDS = 3


@dataclass
class Way:
    """One way to have all prompts answered: seconds a round."""

    name: str
    run: Callable[[], list[str]]
    seconds: list[float] = field(default_factory=list)


def stories(folder: Path) -> tuple[Any, list[str]]:
    from writing_parts import load_kept

    kept = load_kept(STORIES, folder, max_length=256, new_tokens=TOKENS, spread=0.0, texts=["Once"])
    return kept, [f"{OPENINGS[place % len(OPENINGS)]}{' and' * (place // len(OPENINGS))}" for place in range(PROMPTS)]


def random_llama(folder: Path) -> tuple[Any, list[str]]:
    """16 million weights in eight layers; their answers end where chance has it."""
    import tiny
    from transformers import LlamaConfig, LlamaForCausalLM
    from writing_parts import load_kept

    shape = {"hidden_size": 384, "num_hidden_layers": 8, "num_attention_heads": 6, "intermediate_size": 1024}
    base = tiny.base(folder / "base", LlamaForCausalLM, LlamaConfig, wrap=False, **shape, max_position_embeddings=256)
    kept = load_kept(base, folder, max_length=200, new_tokens=TOKENS, spread=0.05)
    return kept, [" ".join(row["text"].split()[: 2 + place % 10]) for place, row in enumerate(tiny.rows(PROMPTS))]


def through_engine(writer: Any, prompts: list[str], pause: float) -> list[str]:
    """Each prompt a request of its own, so many seconds after the one before."""
    from tasks.serving.generation.draft import AnswerRequest
    from tasks.serving.generation.engine import EngineLimits, GenerationEngine
    from tasks.serving.generation.sampling import Sampling

    async def ask(engine: GenerationEngine, place: int) -> str:
        await asyncio.sleep(place * pause)
        order = AnswerRequest(writer.read_prompt(prompts[place]), TOKENS, Sampling(0, 1, 0))
        async with engine.write(writer, [order]) as writing:
            await writing.wait_until_done()
            return writing.drafts[0].text

    async def all_of_them() -> list[str]:
        engine = GenerationEngine(EngineLimits(ROWS, 1000), lambda *_: None)
        try:
            return list(await asyncio.gather(*(ask(engine, place) for place in range(len(prompts)))))
        finally:
            await engine.close()

    return asyncio.run(all_of_them())


def over_http(asker: Any, prompts: list[str]) -> list[str]:
    def ask(prompt: str) -> str:
        body = {"model": "tiny", "prompt": prompt, "temperature": 0, "max_tokens": TOKENS}
        return str(asker("POST", "/v1/completions", body, timeout=300)[2]["choices"][0]["text"])

    with ThreadPoolExecutor(ROWS) as pool:
        return list(pool.map(ask, prompts))


def measure(name: str, load: Callable[[Path], tuple[Any, list[str]]], rounds: int) -> list[str]:
    """The rows of one network, and whether all ways say the same."""
    from writing_parts import ready, writing

    with tempfile.TemporaryDirectory() as folder:
        kept, prompts = load(Path(folder))
        model = ready(kept)
        with writing(model, max_batch=ROWS, timeout_seconds=300) as asker:
            ways = [
                Way("one after another", lambda: [kept.predict([prompt])["text"][0] for prompt in prompts]),
                Way(f"`generate`, batches of {ROWS}", lambda: kept.predict(prompts, ROWS)["text"].tolist()),
                Way(f"engine, {ROWS} rows, all at once", lambda: through_engine(model.writer, prompts, 0)),
                Way(f"engine, {ROWS} rows, one every 5 ms", lambda: through_engine(model.writer, prompts, 0.005)),
                Way(f"engine over HTTP, {ROWS} callers", lambda: over_http(asker, prompts)),
            ]
            said = [way.run() for way in ways]  # which warms them up
            for _ in range(rounds):
                for way in ways:
                    began = time.perf_counter()
                    way.run()
                    way.seconds.append(time.perf_counter() - began)
    alone = statistics.median(ways[0].seconds)
    equal = sum(one == said[0] for one in said)
    rows = [f"| {name} | {way.name} | {spread(way.seconds)} | {alone / statistics.median(way.seconds):.1f} |" for way in ways]
    return [*rows, f"| {name} | *ways that say the same* | {equal} of {len(ways)} | {'' if equal == len(ways) else '**no**'} |"]


def spread(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    print(f"## Texts written together\n\n{PROMPTS} prompts, at most {TOKENS} tokens each, greedily; medians of {rounds} rounds.\n")
    print("| network | how | seconds (least to most) | times as fast |\n|---|---|--:|--:|")
    networks = {"random Llama, 16M weights": random_llama, **({"stories260K": stories} if STORIES.is_dir() else {})}
    for name, load in networks.items():
        print("\n".join(measure(name, load, rounds)), flush=True)


if __name__ == "__main__":
    main()

"""Networks of a few thousand weights and languages of a few dozen words: real parts, small enough to train in a second.

What a text means hangs on the order of its two key words. Counted words and pairs cannot tell that, so a baseline stays at chance
and a fine-tuned network has something to win.
"""

import json
import random
from pathlib import Path

import pandas as pd

from configs.schema import (
    AdaLora,
    BitFit,
    Dora,
    Full,
    HeadOnly,
    Ia3,
    LastLayers,
    Lora,
    Oft,
    Pissa,
    Prefix,
    Prompt,
    PTuning,
    RsLora,
    Vera,
    facts_of,
)
from tasks.data.text_parts import join_parts

KEYS = (("north", "south"), ("red", "blue"))
FILLERS = tuple(a + b for a in ("ka", "lo", "mi", "ru", "te", "so") for b in ("n", "st", "ra", "le", "mp", "do"))
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
FIRST, SECOND, WORDS = 4, 9, 13  # places of the key words, words of a text
ADAPTERS = {  # every kind, small
    adapter.kind: adapter
    for adapter in (
        Lora(r=4), Full(), HeadOnly(), LastLayers(layers=1), BitFit(), RsLora(r=4), Dora(r=4), Pissa(r=4),
        AdaLora(r=2, initial_r=4), Ia3(), Vera(r=16),
        Oft(block_size=4), Prompt(tokens=4), PTuning(tokens=4), Prefix(tokens=4),
    )
}  # fmt: skip


def makes_sense(problem, adapter):
    """Whether a config may name both."""
    try:
        adapter.check_choice(problem, facts_of(problem))
    except ValueError:
        return False
    return True


def rows(n, seed=0, start=0, noise=0.0):
    """n records: four classes, two for each pair of key words; a share of the labels is drawn anew."""
    draw = random.Random(seed)
    labels = [f"{pair[way]} first" for pair in KEYS for way in (0, 1)]
    out = []
    for number in range(start, start + n):
        pair, way = KEYS[draw.randrange(2)], draw.randrange(2)
        words = draw.choices(FILLERS, k=WORDS)
        words[FIRST], words[SECOND] = pair[way], pair[1 - way]
        label = draw.choice(labels) if draw.random() < noise else f"{pair[way]} first"
        out.append({"ticket": f"t{number:05}", "text": " ".join(words), "label": label, "half": f"h{number % 2}"})
    return out


def frame(n, seed=0):
    """The same as prepared records: id, text and target."""
    return pd.DataFrame([{"id": row["ticket"], "text": row["text"], "target": row["label"]} for row in rows(n, seed)])


def number_rows(n, seed=0):
    """n prepared records whose target is a number: one for each class, and a little noise."""
    draw, of_class = (
        random.Random(seed),
        {f"{key} first": 10 * place for place, key in enumerate(key for pair in KEYS for key in pair)},
    )
    numbered = frame(n, seed)
    return numbered.assign(target=[f"{of_class[label] + draw.randint(0, 2)}" for label in numbered["target"]])


def ranking_rows(n, seed=0, candidates=4):
    """n prepared records, queries with so many documents each; those where the first word of a pair of key words is first are
    relevant."""
    first = {f"{pair[0]} first" for pair in KEYS}
    return pd.DataFrame(
        [
            {
                "id": f"r{place}",
                "text": join_parts((" ".join(FILLERS[query // 36**digit % 36] for digit in (0, 1)), row["text"])),
                "target": str(int(row["label"] in first)),
                "group": f"q{query}",
            }
            for place, row in enumerate(rows(n, seed))
            for query in (place // candidates,)
        ]
    )


def similar_rows(n, seed=0):
    """n prepared pairs of texts with a score: 2 for the same key words in the same order, 1 for the other order, 0 for others."""
    pairs = list(zip(rows(n, seed), rows(n, seed + 1000), strict=True))
    scores = [2 if a["label"] == b["label"] else int(a["text"].split()[SECOND] == b["text"].split()[FIRST]) for a, b in pairs]
    texts = [join_parts((a["text"], b["text"])) for a, b in pairs]
    return pd.DataFrame({"id": [f"s{i}" for i in range(n)], "text": texts, "target": list(map(str, scores))})


def partner_rows(n, seed=0):
    """n prepared pairs of texts that belong together: the same key words in the same order."""
    draw, of_label = random.Random(seed), {}
    for row in rows(20 * n, seed + 1000):
        of_label.setdefault(row["label"], []).append(row["text"])
    pairs = [(row["text"], draw.choice(of_label[row["label"]])) for row in rows(n, seed)]
    return pd.DataFrame({"id": [f"m{i}" for i in range(n)], "text": list(map(join_parts, pairs)), "target": "1", "group": None})


def label_set_rows(n, seed=0):
    """n prepared records of one, two or no part that means something, with the labels of their parts."""
    draw, parts = random.Random(seed), iter(rows(2 * n, seed))
    out = []
    for number in range(n):
        chosen = [next(parts) for _ in range(draw.choice((1, 1, 2)))] if draw.random() > 0.1 else []
        texts = [row["text"] for row in chosen] or [" ".join(draw.choices(FILLERS, k=WORDS))]
        labels = sorted({row["label"] for row in chosen})
        out.append({"id": f"l{number}", "text": " ".join(texts), "target": json.dumps(labels, separators=(",", ":"))})
    return pd.DataFrame(out)


def asked(n, seed=0, start=0):
    """n questions with their contexts: which of two key words stands first; one in two asks for words that are not there."""
    draw = random.Random(seed + 1)
    out = []
    for row in rows(n, seed, start):
        pair = next(pair for pair in KEYS if row["label"].split()[0] in pair)
        other = KEYS[1 - KEYS.index(pair)]
        there = draw.random() < 0.5
        answer = row["label"].split()[0] if there else ""
        out.append(
            {"ticket": row["ticket"], "question": " ".join(pair if there else other), "context": row["text"], "answers": answer}
        )
    return out


def answer_rows(n, seed=0):
    """The same as prepared records."""
    from tasks.data.answers import read_answers
    from tasks.data.text_parts import join_parts

    records = [
        {
            "id": row["ticket"],
            "text": join_parts((row["question"], row["context"])),
            "target": read_answers(row["answers"], row["context"]),
        }
        for row in asked(n, seed)
    ]
    return pd.DataFrame(records)


def span_rows(n, seed=0):
    """n prepared records; each key word and the word behind it are a span, of a label for each pair of key words."""
    out = []
    for row in rows(n, seed):
        words, spans, at = row["text"].split(), [], 0
        for place, word in enumerate(words):
            label = next((f"KEY {pair[0]}" for pair in KEYS if word in pair), None)
            if label is not None:
                spans.append([at, at + len(word) + 1 + len(words[place + 1]), label])
            at += len(word) + 1
        out.append({"id": row["ticket"], "text": row["text"], "target": json.dumps(spans, separators=(",", ":"))})
    return pd.DataFrame(out)


def pairs(n, seed=0):
    """n prompts with the completion that reads their words backwards."""
    draw = random.Random(seed)
    words = [draw.choices(FILLERS[:6], k=draw.randint(2, 5)) for _ in range(n)]
    return pd.DataFrame(
        {"id": [f"p{i}" for i in range(n)], "text": [" ".join(w) for w in words], "target": [" ".join(w[::-1]) for w in words]}
    )


def preferences(n, seed=0):
    """The same prompts; an answer that begins with one key word was preferred to one that begins with the other."""
    rows = pairs(n, seed)
    return rows.assign(group=None, target=f"{KEYS[0][0]} " + rows["text"], rejected=f"{KEYS[0][1]} " + rows["text"])


def tokenizer(folder: Path, *, wrap: bool, **marks):
    """A word-level tokenizer on disk; `wrap` puts [CLS] and [SEP] around a text; `marks` are further special tokens."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = (*SPECIAL, *(word for pair in KEYS for word in pair), *FILLERS)
    core = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    core.normalizer, core.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    if wrap:
        core.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "mask_token": "[MASK]"}
    ends = {"sep_token": "[SEP]"} if wrap else {"eos_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=core, **names, **{**ends, **marks}).save_pretrained(folder)
    return len(words)


def bert(folder: Path, seed=2, pooling="mean"):
    """A random BERT: 2 layers, hidden size 32."""
    import torch
    from transformers import BertConfig, BertModel

    size = tokenizer(folder, wrap=True)
    torch.manual_seed(seed)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = BertConfig(vocab_size=size, **shape, max_position_embeddings=64, initializer_range=0.2)
    BertModel(config).save_pretrained(folder)
    if pooling == "mean":
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    return folder


def llama(folder: Path, seed=0):
    """A random decoder: 2 layers, hidden size 32."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    size = tokenizer(folder, wrap=False)
    torch.manual_seed(seed)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    marks = {"pad_token_id": 0, "bos_token_id": None, "eos_token_id": 3}
    LlamaForCausalLM(LlamaConfig(vocab_size=size, **shape, **marks, max_position_embeddings=64)).save_pretrained(folder)
    return folder


def base(folder: Path, model, config, *, wrap: bool, seed=0, **settings):
    """A random base of any kind of network that transformers has: 2 layers, hidden size 32, unless `settings` say otherwise."""
    import torch

    size = tokenizer(folder, wrap=wrap)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    marks = {"pad_token_id": 0, "bos_token_id": 2 if wrap else None, "eos_token_id": 3}
    torch.manual_seed(seed)
    model(config(**{"vocab_size": size, **marks, **shape, **settings})).save_pretrained(folder)
    return folder


T5 = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2, "decoder_start_token_id": 0}
BART = {
    "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
    "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 64, "init_std": 0.2,
}  # fmt: skip


def seq2seq(folder: Path, kind="Bart", **settings):
    """A random encoder-decoder with its head, whose tokenizer knows the end of a text."""
    import transformers

    model, config = getattr(transformers, f"{kind}ForConditionalGeneration"), getattr(transformers, f"{kind}Config")
    shape = {"Bart": {**BART, "decoder_start_token_id": 3}, "T5": T5}[kind]
    base(folder, model, config, wrap=True, **{**shape, **settings})
    tokenizer(folder, wrap=True, eos_token="[SEP]")
    return folder


def marked_seq2seq(folder: Path, kind):
    """A random encoder-decoder whose tokenizer marks languages: MBart50, MBart or Nllb."""
    import importlib

    import transformers
    from transformers import M2M100Config, M2M100ForConditionalGeneration, MBartConfig, MBartForConditionalGeneration

    module = {"MBart50": "mbart50", "MBart": "mbart", "Nllb": "nllb"}[kind]
    codes = importlib.import_module(f"transformers.models.{module}.tokenization_{module}").FAIRSEQ_LANGUAGE_CODES
    words = [f"\u2581{word}" for word in FILLERS]
    start = ["<s>", "<pad>", "</s>", "<unk>"]
    if kind == "Nllb":
        pieces = [*start, "\u2581", *sorted({letter for word in FILLERS for letter in word})]
        made = transformers.NllbTokenizer(vocab={piece: place for place, piece in enumerate(pieces)}, merges=[])
    else:
        scored = [(piece, 0.0 if piece in start else -1.0) for piece in (*start, *words, *codes, "<mask>")]
        made = getattr(transformers, f"{kind}Tokenizer")(vocab=scored)
    made.save_pretrained(folder)
    model, config = (
        (M2M100ForConditionalGeneration, M2M100Config) if kind == "Nllb" else (MBartForConditionalGeneration, MBartConfig)
    )
    marks = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": None if kind == "MBart" else 2}
    model(
        config(vocab_size=max(made.get_vocab().values()) + 1, **{**BART, "max_position_embeddings": 64}, **marks)
    ).save_pretrained(folder)
    return folder


CHAT_TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'assistant' %}south {{ m.content }}[SEP]{% else %}"
    "{{ 'red' if m.role == 'system' else 'north' }} {{ m.content }} {% endif %}{% endfor %}"
    "{% if add_generation_prompt %}south {% endif %}"
)


def chat_llama(folder: Path, seed=0, template=CHAT_TEMPLATE):
    """The random decoder with a template for chats: each turn begins with a key word, the assistant's ends with [SEP]."""
    llama(folder, seed)
    (folder / "chat_template.jinja").write_text(template)
    return folder


def chats(n, seed=0, turns=2):
    """n conversations as lists of messages: what the assistant says hangs on the first word of the user's turn before it."""
    draw, out, keys = random.Random(seed), [], FILLERS[:4]
    for number in range(n):
        spoken = [("system", "kan")] if number % 3 == 0 else []
        for _ in range(1 + number % turns):
            key = draw.randrange(4)
            spoken.append(("user", " ".join((keys[key], *draw.choices(FILLERS[4:], k=3)))))
            spoken.append(("assistant", f"{FILLERS[10 + key]} {FILLERS[20 + key]}"))
        out.append([{"role": role, "content": content} for role, content in spoken])
    return out


def chat_rows(n, seed=0):
    """The same conversations as prepared records: the turns that are read, and the last answer."""
    from tasks.data.messages import read_exchange

    read = [read_exchange(chat) for chat in chats(n, seed)]
    return pd.DataFrame(
        {"id": [f"c{i}" for i in range(n)], "text": [each.text for each in read], "target": [each.target for each in read]}
    )


def thumbs(n, seed=0):
    """The prompts of `preferences`, each with one of both answers by turns: the preferred one (thumb up) or the other (down)."""
    rows = preferences(n, seed)
    good = [place % 2 == 0 for place in range(n)]
    answers = [row.target if up else row.rejected for row, up in zip(rows.itertuples(), good, strict=True)]
    return rows.drop(columns="rejected").assign(target=answers, thumb=["up" if up else "down" for up in good])

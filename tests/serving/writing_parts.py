"""A small service that writes texts, on a port of its own, and ways to hold its network up and to read its streams."""

import http.client
import json
import threading
from contextlib import contextmanager
from dataclasses import replace

import tiny
from serving_parts import TEXTS, Standing, served, service, version

TEMPLATE = "{% for m in messages %}{{ m.role }} {{ m.content }} {% endfor %}{% if add_generation_prompt %}assistant{% endif %}"
PROMPTS = [" ".join(text.split()[: 2 + place % 6]) for place, text in enumerate(TEXTS[:12])]
CHAT = [{"role": "system", "content": "kale lost"}, {"role": "user", "content": "mira sole"}]


def chat_base(folder, template=TEMPLATE):
    """A random decoder whose tokenizer brings a template for chats."""
    tiny.llama(folder)
    (folder / "chat_template.jinja").write_text(template)
    return folder


def load_kept(base, folder, problem="text-generation", seed=1, home=None, **settings):
    """A version with random weights."""
    from tasks.serving.packaged_model import load_package

    kept = version(folder, base, seed, problem=problem, home=home, **settings)
    return load_package(kept, base, home or folder, {})


def ready(kept, name="7"):
    from tasks.serving.predictor import make_ready

    return make_ready(name, kept)


@contextmanager
def writing(model, problem="text-generation", traffic=None, **settings):
    """A service that writes with this model; its champion can be changed."""
    champion = Standing(model)
    with served(service(champion, traffic, problem=problem, **{"timeout_seconds": 20, **settings})) as asker:
        asker.champion = champion
        yield asker


class Gate:
    """Holds up a writer's batches: each step waits until so many steps were let through."""

    def __init__(self):
        self._steps = threading.Semaphore(0)
        self.open, self.seen = False, 0

    def let(self, steps):
        """Let some steps through."""
        self._steps.release(steps)

    def open_all(self):
        """Hold up nothing any more."""
        self.open = True
        self._steps.release(1)

    def pass_through(self):
        self.seen += 1
        if not self.open:
            assert self._steps.acquire(timeout=30)
        if self.open:
            self._steps.release(1)


def gated(model, gate):
    """The model, whose writer waits at the gate before each step."""
    return replace(model, writer=_GatedWriter(model.writer, gate))


class _GatedWriter:
    def __init__(self, writer, gate):
        self._writer, self._gate = writer, gate

    def __getattr__(self, name):
        return getattr(self._writer, name)

    def open_batch(self):
        return _GatedBatch(self._writer.open_batch(), self._gate)


class _GatedBatch:
    def __init__(self, batch, gate):
        self._batch, self._gate, self.can_join = batch, gate, batch.can_join
        self.add, self.keep = batch.add, batch.keep

    def step(self, tokens):
        self._gate.pass_through()
        return self._batch.step(tokens)


class Stream:
    """A stream that is read event by event."""

    def __init__(self, port, path, body, headers=None):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self._connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **(headers or {})})
        self.answer = self._connection.getresponse()

    def next(self):
        """The next event, as JSON; None at the end of the stream, `[DONE]` as it is."""
        line = self.answer.readline()
        if not line:
            return None
        assert line.startswith(b"data: ") and self.answer.readline() == b"\n"
        said = line.removeprefix(b"data: ").decode()
        return said.strip() if said.strip() == "[DONE]" else json.loads(said)

    def all(self):
        """All events to the end."""
        events = []
        while (event := self.next()) is not None:
            events.append(event)
        self.close()
        return events

    def close(self):
        """Go away."""
        self.answer.close()
        self._connection.close()

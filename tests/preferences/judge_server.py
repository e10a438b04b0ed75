"""A judge on this machine's loopback, as an OpenAI-compatible service: how it judges can be chosen."""

import json
import re
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PARTS = re.compile(r"<(\w+) (\w+)>\n(.*?)\n</\1 \2>", re.DOTALL)


def longer(a, b):
    """The longer answer is better."""
    return "tie" if len(a) == len(b) else "A" if len(a) > len(b) else "B"


JUDGES = {
    "longer": longer,
    "shorter": lambda a, b: longer(b, a),
    "first": lambda a, b: "A",
    "garbage": lambda a, b: "I think that A is better, all in all",
}


@contextmanager
def judge(name="longer", status=200, fail_first=0, slow=0.0):
    """A judge until the block ends; `asked` are the bodies that came, `headers` theirs."""
    asked, headers = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(body)
            headers.append(dict(self.headers))
            time.sleep(slow)
            code = 503 if len(asked) <= fail_first else status
            texts = {part: text for part, _, text in PARTS.findall(body["messages"][-1]["content"])}
            word = JUDGES[name](texts["answer_A"], texts["answer_B"])
            said = json.dumps({"choices": [{"message": {"role": "assistant", "content": word}}]}).encode()
            self.send_response(code)
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.url, server.asked, server.headers = f"http://127.0.0.1:{server.server_port}/v1", asked, headers
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()

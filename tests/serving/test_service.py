"""The service on a real port with a real, small model: what it answers, what it refuses and how it says so."""

import http.client
import json
import re
import socket
import threading
import time
import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from serving_parts import LABELS, TEXTS, Standing, restated, served, service, version

from configs.errors import InfraError, InputError
from tasks.serving.batcher import Prediction
from tasks.serving.http.answer_types import DrawnAnswer
from tasks.serving.http.auth import is_local, read_keys
from tasks.serving.http.messages import LONGEST_WHAT, LONGEST_WHERE, Refusal
from tasks.serving.http.middleware import PATHS

KEYS = ("first-key-of-sixteen-letters", "second-key-of-sixteen-letters")
HEX = "0" * 32
NAMED = {
    "app": "app:ask+feedback:key-of-the-application",
    "both": "both:ask+feedback+audit:key-of-the-people",
    "graphs": "graphs:metrics:key-of-prometheus",
    "plain": "key-without-any-name",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def kept(bert_folder, home):
    from tasks.serving.packaged_model import load_package

    return load_package(version(home / "one", bert_folder, 1, home=home), bert_folder, home, {})


@pytest.fixture(scope="module")
def expected(kept):
    """What the artifact says, loaded as a release loads it."""
    return kept.predict(TEXTS)


@pytest.fixture(scope="module")
def champion(kept, expected):
    from tasks.serving.predictor import make_ready

    return Standing(make_ready("7", kept))


@pytest.fixture(scope="module")
def ask(champion):
    with served(service(champion)) as asker:
        yield asker


class Slow:
    """Answers when `gate` is open."""

    version = "1"
    recipe = None

    def __init__(self):
        self.gate = threading.Event()

    def answers(self, texts):
        self.gate.wait(20)
        if "!" in texts:
            raise RuntimeError("no such token, at /some/place")
        return [Prediction(text, "red first", 0.5) for text in texts]


@pytest.fixture
def slow():
    one = Slow()
    yield one
    one.gate.set()


def fault(asked, status):
    """The error of an answer that must be one: what, where and remedy, and nothing else."""
    found, headers, said = asked
    assert found == status, said
    assert headers["Content-Type"] == "application/json" and said.keys() == {"error"}
    assert said["error"].keys() == {"what", "where", "remedy"} and all(said["error"].values())
    assert "Traceback" not in str(said)
    return said["error"]


# --- answers ---------------------------------------------------------------------------------------------------------


def test_one_text_gets_its_label_score_version_and_an_id(ask, expected):
    status, _, said = ask("POST", "/predict", {"text": TEXTS[3]})
    assert status == 200 and said.keys() == {"id", "label", "score", "version"}
    assert (said["label"], said["version"]) == (expected["label"][3], "7") and said["label"] in LABELS
    assert said["score"] == pytest.approx(expected["score"][3], abs=1e-5)
    assert re.fullmatch("[0-9a-f]{32}", said["id"])


def test_many_texts_are_answered_in_their_order_each_with_an_id_of_its_own(ask, expected):
    said = ask.predict(*TEXTS[:20])
    assert [one["label"] for one in said["answers"]] == expected["label"][:20].tolist()
    assert [one["score"] for one in said["answers"]] == pytest.approx(expected["score"][:20].tolist(), abs=1e-5)
    assert len({one["id"] for one in said["answers"]}) == 20 and {one["version"] for one in said["answers"]} == {said["version"]}


def test_texts_in_any_script_are_answered(ask):
    texts = ["Grüße", "中文", "👩‍👩‍👧", "a\u0000b", "e" + unicodedata.lookup("COMBINING ACUTE ACCENT")]
    assert len(ask.predict(*texts)["answers"]) == len(texts)


@pytest.mark.parametrize(("problem", "base"), [("text-generation", "llama_folder"), ("text2text-generation", "bart_folder")])
def test_what_writes_answers_with_text(request, tmp_path, problem, base):
    from tasks.serving.packaged_model import load_package
    from tasks.serving.predictor import make_ready

    folder = request.getfixturevalue(base)
    kept = load_package(version(tmp_path, folder, 1, problem=problem), folder, tmp_path, {})
    prompts = [" ".join(text.split()[: 2 + place]) for place, text in enumerate(TEXTS[:6])]
    wanted = kept.predict(prompts)["text"].tolist()
    with served(service(Standing(make_ready("1", kept)), problem=problem)) as asker:
        assert [one["text"] for one in asker.predict(*prompts)["answers"]] == wanted
        status, _, said = asker("POST", "/predict", {"text": prompts[0]})
        assert status == 200 and said.keys() == {"id", "text", "version"}
        fault(asker("POST", "/feedback", {"answer_id": HEX, "kind": "label", "value": "x"}), 409)


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "where", "what"),
    [
        (400, b"{", "body", "no JSON"),
        (400, b"", "body", "no JSON"),
        (400, b'{"text": "\xff"}', "body", "no JSON"),
        (422, b'"text"', "body", "keys"),
        (422, b"[]", "body", "keys"),
        (422, {}, "body", "keys"),
        (422, {"txt": "a"}, "body", "keys"),
        (422, {"text": 3}, "body.text", "string"),
        (422, {"text": None}, "body.text", "string"),
        (422, {"text": "a", "more": 1}, "body.more", "not permitted"),
        (422, {"text": "a", "texts": ["b"]}, "body.text", "not permitted"),
        (422, {"text": "a" * 501}, "body.text", "500"),
        (422, {"texts": []}, "body.texts", "at least 1"),
        (422, {"texts": ["a"] * 21}, "body.texts", "at most 20"),
        (422, {"texts": ["a", 3]}, "body.texts.1", "string"),
        (422, {"texts": "abc"}, "body.texts", "array"),
        (413, b'{"text": "' + b"a" * 5000 + b'"}', "body", "4,096"),
    ],
)
def test_a_body_that_asks_nothing_is_refused_with_what_where_and_remedy(ask, status, body, where, what):
    said = fault(ask("POST", "/predict", body), status)
    assert said["where"] == where and what in said["what"]
    assert "texts" in said["remedy"]


@pytest.mark.parametrize(
    ("body", "remedy"),
    [
        ({"texts": ["a"] * 21}, "send at most 20 texts at once, or raise serving.max_rows"),
        ({"text": "a" * 501}, "texts of at most 500 characters each, which is data.max_characters: shorten this one, or split it"),
        ({"texts": ["a", "a" * 501]}, "texts of at most 500 characters each, which is data.max_characters"),
    ],
)
def test_what_is_too_much_or_too_long_is_told_its_limit_and_the_setting(ask, body, remedy):
    assert remedy in fault(ask("POST", "/predict", body), 422)["remedy"]


def test_a_label_that_is_too_long_is_told_its_own_limit(logged):
    said = fault(logged("POST", "/feedback", {"answer_id": HEX, "kind": "label", "value": "a" * 201}), 422)
    assert (said["where"], said["remedy"]) == ("body.value", "send a label of at most 200 characters")


@pytest.mark.parametrize(
    ("path", "body", "key"),
    [
        ("/predict", b'{"text": "a", "text": "b"}', "text"),
        ("/predict", b'{"texts": ["a"], "te\\u0078ts": ["b"]}', "texts"),
        ("/predict", b'{"text": "a"' + b', "text": "b"' * 200 + b"}", "text"),
        ("/feedback", b'{"answer_id": "%b", "kind": "thumb", "value": "up", "value": "down"}' % HEX.encode(), "value"),
    ],
)
def test_a_key_that_is_there_twice_is_refused_by_its_name(logged, path, body, key):
    said = fault(logged("POST", path, body), 422)
    assert (said["what"], said["where"]) == (f"`{key}` is there more than once", f"body.{key}")
    assert logged.traffic.counts.accepted == 0


def test_a_text_may_hold_what_looks_like_a_key(ask):
    assert ask("POST", "/predict", {"text": '{"text": "a", "text": "b"}'})[0] == 200


@pytest.mark.parametrize(("packing", "status"), [("gzip", 415), ("br, gzip", 415), ("identity", 200), ("", 200)])
def test_a_packed_body_is_refused_by_the_name_of_its_packing(ask, packing, status):
    _, headers, _ = found = ask("POST", "/predict", {"text": "a"}, {"Content-Encoding": packing})
    if status == 200:
        assert found[0] == 200
    else:
        said = fault(found, 415)
        assert packing in said["what"] and said["where"] == "header Content-Encoding" and headers["Accept-Encoding"] == "identity"


def test_a_whole_address_is_answered_as_its_path_on_the_host_that_it_names(ask):
    for address in ("http://localhost/health", "HTTP://127.0.0.1:8000/health", "https://[::1]/health?a=http://b/c"):
        status, _, said = ask("GET", address, headers={"Host": "elsewhere.example"})
        assert status == 200 and said["alive"], address
    assert ask("POST", "http://localhost/predict", {"text": "a"})[0] == 200
    for address, status in {
        "http://elsewhere.example/health": 403,
        "http://localhost": 404,
        "http://localhost/nowhere": 404,
        "http://localhost@elsewhere.example/health": 403,
        "ftp://localhost/health": 404,
        "/http://localhost/health": 404,
    }.items():
        fault(ask("GET", address), status)


@pytest.mark.parametrize(
    ("query", "where"),
    [("x=1", "query.x"), ("n=1&n=2", "query.n"), ("n=1&days=1&days=1", "query.days"), ("N=1", "query.N"), ("n=1&=2", "query.")],
)
def test_a_key_of_the_query_that_is_unknown_or_twice_is_refused_by_its_name(logged, query, where):
    said = fault(logged("GET", f"/audit?{query}"), 422)
    assert said["where"] == where and ("n and days" in said["remedy"] or "once" in said["remedy"])


def test_of_a_body_with_many_keys_one_fault_is_made_and_not_one_for_each(logged):
    many = {f"k{place}": 1 for place in range(200)}
    feedback = {"answer_id": HEX, "kind": "label", "value": "red first"}
    for path, body in {"/predict": {"text": "a"}, "/feedback": feedback}.items():
        said = fault(logged("POST", path, {**body, **many}), 422)
        assert (said["where"], said["what"]) == ("body", "An object of more than 20 keys is not read")
        said = fault(logged("POST", path, {**body, "k1": 1, "k2": 2}), 422)
        assert (said["where"], said["what"]) == ("body.k1", "Extra inputs are not permitted (and 1 more)")


def test_of_what_a_caller_sent_a_refusal_repeats_a_beginning_alone(ask):
    name = "<'://a:'" * 450
    for where, found in {
        "body.<'://": ask("POST", "/predict", {"text": "a", name: 1}),
        "/<'://": ask("GET", "/" + name),
    }.items():
        said = fault(found, 404 if where.startswith("/") else 422)
        assert said["where"].startswith(where) and len(said["where"]) == LONGEST_WHERE + 1
    long = Refusal(422, name, name, "send less")
    assert (len(long.fault["what"]), len(long.fault["where"])) == (LONGEST_WHAT + 1, LONGEST_WHERE + 1)
    assert Refusal(422, "short", "here", "x").fault == {"what": "short", "where": "here", "remedy": "x"}


@pytest.mark.parametrize(
    "text", ["", " ", "\\u200d", "\\u200b\\u200c\\u200d", "\\ufe0f", "\\u3164", "\\u00ad\\n", "\\ud800", "hi \\udfff"]
)
def test_what_training_sets_aside_is_not_answered(ask, text):
    from tasks.data.normalise import unusable_reason

    assert unusable_reason(json.loads(f'"{text}"'))
    said = fault(ask("POST", "/predict", f'{{"text": "{text}"}}'.encode()), 422)
    assert said["where"] in ("body.text", "body") and unusable_reason(json.loads(f'"{text}"')) in said["what"]
    said = fault(ask("POST", "/predict", f'{{"texts": ["fine", "{text}"]}}'.encode()), 422)
    assert said["where"] in ("body.texts.1", "body")
    ask.predict("a")


def test_head_is_answered_as_get_is_without_a_body(ask):
    for path, status in (("/health", 200), ("/ready", 200), ("/predict", 405), ("/nowhere", 404)):
        found, headers, said = ask("HEAD", path)
        assert (found, said) == (status, "") and headers["Content-Type"] == "application/json", path


@pytest.mark.parametrize(
    ("status", "method", "path", "headers"),
    [
        (404, "GET", "/", {}),
        (404, "POST", "/predict/", {}),
        (405, "GET", "/predict", {}),
        (415, "POST", "/predict", {"Content-Type": "text/plain"}),
        (415, "POST", "/predict", {"Content-Type": None}),
        (403, "GET", "/ready", {"Host": "attacker.example"}),
        (409, "POST", "/feedback", {}),
        (409, "GET", "/audit", {}),
        (422, "GET", "/audit?n=0", {}),
        (422, "GET", "/audit?n=x", {}),
    ],
)
def test_what_is_not_there_is_refused_in_the_same_form(ask, status, method, path, headers):
    fault(ask(method, path, {"text": "a"} if method == "POST" else None, headers), status)


def test_a_body_without_a_length_is_read_no_further_than_the_limit(ask):
    connection = http.client.HTTPConnection("127.0.0.1", ask.port, timeout=20)
    connection.putrequest("POST", "/predict")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    connection.send(b'd\r\n{"text": "aaa\r\n')
    sent = 0
    try:
        while sent < 50_000_000:
            connection.send(b"1000\r\n" + b"a" * 4096 + b"\r\n")
            sent += 4096
    except OSError:
        pass  # the service has heard enough
    assert sent < 50_000_000
    connection.close()
    ask.predict("a")


def test_a_body_that_does_not_come_is_not_waited_for(champion):
    with served(service(champion, timeout_seconds=0.3)) as asker, socket.create_connection(("127.0.0.1", asker.port)) as half:
        half.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{")
        half.settimeout(10)
        assert half.recv(1000).startswith(b"HTTP/1.1 408")
        asker.predict("a")


# --- keys ------------------------------------------------------------------------------------------------------------


def bearer(name):
    """The headers of one of NAMED's keys."""
    return {"Authorization": f"Bearer {NAMED[name].rpartition(':')[2]}"}


def test_with_keys_set_only_who_has_one_is_answered(champion):
    with served(service(champion, keys=KEYS, local=False)) as asker:
        for headers in ({}, {"Authorization": "Bearer no"}, {"X-API-Key": "no"}, {"Authorization": f"Basic {KEYS[0]}"}):
            _, answered, _ = found = asker("POST", "/predict", {"text": "a"}, headers)
            fault(found, 401)
            assert answered["WWW-Authenticate"] == "Bearer"
        for path in ("/feedback", "/audit", "/metrics", "/openapi.json"):
            fault(asker("POST" if path == "/feedback" else "GET", path), 401)
        for headers in ({"Authorization": f"Bearer {KEYS[1]}"}, {"X-API-Key": KEYS[0]}, {"authorization": f"bearer {KEYS[0]}"}):
            asker.predict("a", headers={**headers, "Host": "service.example"})
        for path in ("/health", "/ready"):
            assert asker("GET", path)[0] == 200


def test_each_role_opens_its_own_and_a_key_that_names_none_asks_and_comments(logged_with_keys):
    opens = {
        "/predict": {"app", "both", "plain"},
        "/feedback": {"app", "both", "plain"},
        "/audit": {"both"},
        "/metrics": {"graphs"},
    }
    thumb = {"answer_id": HEX, "kind": "thumb", "value": "up"}
    bodies = {"/predict": {"text": "a"}, "/feedback": thumb}
    for path, names in opens.items():
        for name in NAMED:
            found = logged_with_keys("POST" if path in bodies else "GET", path, bodies.get(path), bearer(name))
            if name in names:
                assert found[0] in (200, 202), (path, name)
            else:
                assert "role" in fault(found, 403)["what"], (path, name)
    for name in NAMED:
        assert logged_with_keys("GET", "/openapi.json", None, bearer(name))[0] == 200


@pytest.mark.parametrize("end", ["%0A", "%0D", "%0D%0A", "%00", "%20", "/", "%2F", ";"])
def test_only_a_path_as_it_is_written_is_answered_whatever_the_role(logged_with_keys, ask, end):
    for path in PATHS:
        for headers in ({}, *(bearer(name) for name in NAMED)):
            for method in ("GET", "POST", "HEAD"):
                assert logged_with_keys(method, path + end, {"text": "a"}, headers)[0] == 404, (method, path, headers)
        fault(ask("GET", path + end), 404)


def test_nobody_labels_an_audit_without_the_role_for_it(logged_with_keys):
    label = {"answer_id": HEX, "kind": "label", "value": "red first", "source": "audit"}
    for name in ("app", "plain"):
        said = fault(logged_with_keys("POST", "/feedback", label, bearer(name)), 403)
        assert said["where"] == "body.source" and "`audit`" in said["what"]
        assert logged_with_keys("POST", "/feedback", {**label, "source": "user"}, bearer(name))[0] == 202
    assert logged_with_keys("POST", "/feedback", label, bearer("both"))[0] == 202


def test_ready_tells_its_details_to_the_role_for_them_alone(logged_with_keys):
    for headers in ({}, bearer("app"), bearer("both"), {"Authorization": "Bearer nobodys"}):
        assert logged_with_keys("GET", "/ready", None, headers)[2] == {"ready": True}
    assert logged_with_keys("GET", "/ready", None, bearer("graphs"))[2]["version"] == "7"


def test_without_keys_audits_are_this_machines_alone(champion, tmp_path):
    from tasks.traffic.log import open_traffic

    label, traffic = {"answer_id": HEX, "kind": "label", "value": "red first", "source": "audit"}, open_traffic(tmp_path, "tiny")
    with served(service(champion, traffic, local=False)) as asker:
        fault(asker("GET", "/audit"), 403)
        assert fault(asker("POST", "/feedback", label), 403)["where"] == "body.source"
        asker.predict("a")
    with served(service(champion, traffic)) as asker:
        assert asker("GET", "/audit")[0] == 200 and asker("POST", "/feedback", label)[0] == 202
    traffic.close()


def test_a_key_has_its_rates_and_its_share_of_what_waits(champion, slow, tmp_path):
    from tasks.traffic.log import open_traffic

    traffic = open_traffic(tmp_path, "tiny")
    limits = {"texts_per_minute": 10, "feedback_per_minute": 2, "max_waiting": 8, "key_share": 0.5}
    thumb = {"answer_id": HEX, "kind": "thumb", "value": "up"}
    with served(service(champion, traffic, keys=NAMED.values(), **limits)) as asker:
        for count in (4, 4, 2):
            asker.predict(*["a"] * count, headers=bearer("app"))
        _, headers, _ = found = asker("POST", "/predict", {"text": "a"}, bearer("app"))
        assert "10 texts a minute" in fault(found, 429)["what"] and 0 < int(headers["Retry-After"]) <= 7
        asker.predict("a", headers=bearer("plain"))
        assert [asker("POST", "/feedback", thumb, bearer("app"))[0] for _ in range(3)] == [202, 202, 429]
        assert asker("POST", "/feedback", thumb, bearer("plain"))[0] == 202
    with served(service(Standing(slow), keys=NAMED.values(), max_waiting=4)) as asker:
        waiting = threading.Thread(target=asker.predict, args=("a", "a"), kwargs={"headers": bearer("app")})
        waiting.start()
        while "tunekeeper_waiting 2.0" not in asker("GET", "/metrics", None, bearer("graphs"))[2]:
            time.sleep(0.01)
        assert "2 texts of this key" in fault(asker("POST", "/predict", {"text": "a"}, bearer("app")), 429)["what"]
        slow.gate.set()
        asker.predict("a", headers=bearer("plain"))
        waiting.join()
    traffic.close()


def test_keys_are_read_from_the_environment():
    keys = read_keys({"TUNEKEEPER_API_KEYS": f" {KEYS[0]},,{NAMED['both']} "})
    both = keys.caller(NAMED["both"].encode().rpartition(b":")[2])
    assert keys and both.name == "both" and both.roles == {"ask", "feedback", "audit"}
    assert keys.caller(KEYS[0].encode()).roles == {"ask", "feedback"}
    assert not any(keys.caller(key) for key in (None, b"", b"both", NAMED["both"].encode(), KEYS[1].encode()))
    assert not read_keys({}) and read_keys({}).caller(b"") is None


@pytest.mark.parametrize("value", [",", " ", " , ,"])
def test_a_variable_that_is_set_and_holds_no_key_is_refused_and_opens_nothing(value):
    with pytest.raises(InputError, match="TUNEKEEPER_API_KEYS is set and holds no key"):
        read_keys({"TUNEKEEPER_API_KEYS": value})
    assert not read_keys({"TUNEKEEPER_API_KEYS": ""})


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("short", "fewer than 16 characters"),
        ("name:ask:short", "fewer than 16|shorter than its key"),
        ("name:ask+admin:SECRET", "role 2 of 2 is none of ask, feedback, audit, metrics"),
        ("name::SECRET", "role 1 of 1"),
        ("ask:SECRET", "one colon"),
        ("SECRET:ask:name", "does not begin with a name"),
        ("ask:SECRET:name", "does not begin with a name|role 1 of 1|shorter"),
        (":ask:SECRET", "does not begin with a name"),
        ("name;metrics;SECRET", "a character that no key has"),
        ("name:ask:SECRET SECRET", "a character that no key has"),
        (KEYS[0], "the key of an earlier one"),
        ("app:ask:SECRET", "the name of an earlier one"),
    ],
)
def test_an_entry_that_is_mistyped_is_refused_by_its_place_and_never_shown(entry, says):
    secret = "4f9d0c2b7a61e8d35c90"
    entries = [KEYS[0], NAMED["app"], entry.replace("SECRET", secret)]
    with pytest.raises(InputError, match=says) as refused_entry:
        read_keys({"TUNEKEEPER_API_KEYS": ",".join(entries)})
    said = str(refused_entry.value)
    assert ("TUNEKEEPER_API_KEYS: entry 3 of 3" in said and "name:role+role:KEY" in said) or "earlier" in said
    assert secret not in said and KEYS[0] not in said


@pytest.mark.parametrize(
    ("host", "local"),
    [
        (b"localhost", True), (b"localhost:8000", True), (b"127.0.0.1:1", True), (b"[::1]:80", True), (b"LOCALHOST", True),
        (b"localhost.example", False), (b"127.0.0.1.example:80", False), (b"", False), (b"[::2]", False),
    ],
)  # fmt: skip
def test_this_machines_own_names(host, local):
    assert is_local(host) is local


# --- when it is busy, or has nothing to answer with --------------------------------------------------------------------


def test_too_much_waiting_is_refused_with_when_to_come_back(slow):
    with served(service(Standing(slow), max_waiting=2)) as asker:
        waiting = [threading.Thread(target=asker.predict, args=("a",)) for _ in range(2)]
        for thread in waiting:
            thread.start()
        while "tunekeeper_waiting 2.0" not in asker("GET", "/metrics")[2]:
            time.sleep(0.01)
        _, headers, _ = found = asker("POST", "/predict", {"text": "b"})
        assert "2 texts are waiting" in fault(found, 503)["what"] and headers["Retry-After"] == "1"
        slow.gate.set()
        for thread in waiting:
            thread.join()
        asker.predict("b")


def test_an_answer_that_takes_too_long_is_given_up(slow):
    with served(service(Standing(slow), timeout_seconds=0.2)) as asker:
        assert "within 0.2 s" in fault(asker("POST", "/predict", {"text": "a"}), 504)["what"]
        slow.gate.set()
        asker.predict("a")


def test_a_model_that_fails_tells_the_log_why_and_the_caller_what_to_do(slow, caplog):
    slow.gate.set()
    with served(service(Standing(slow))) as asker:
        said = fault(asker("POST", "/predict", {"text": "!"}), 500)
        assert "/some/place" not in str(said) and "/some/place" in caplog.text
        asker.predict("a")


def test_before_there_is_a_champion_it_lives_and_is_not_ready():
    champion = restated(Standing(None), wanted=None)
    with served(service(champion)) as asker:
        assert asker("GET", "/health")[0] == 200
        status, _, said = asker("GET", "/ready")
        assert status == 503 and said["ready"] is False and said["version"] is None
        _, headers, _ = found = asker("POST", "/predict", {"text": "a"})
        assert "no version answers yet" in fault(found, 503)["what"] and headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    ("now", "what", "remedy"),
    [
        ({"looked": False}, "has not looked for its champion", "ask again in a second"),
        ({"wanted": "3"}, "version 3 is loading", "ask again in a few seconds"),
        ({"registry": "MLflow is away"}, "MLflow is away", "see that MLflow answers"),
        ({"wanted": "3", "refused": "version 3: damaged"}, "version 3: damaged", "see the service's log"),
        ({}, "the alias names none", "tunekeeper retrain"),
    ],
)
def test_a_champion_is_missed_only_where_one_was_looked_for(now, what, remedy):
    champion = restated(Standing(None), **{"wanted": None, **now})
    with served(service(champion)) as asker:
        said = fault(asker("POST", "/predict", {"text": "a"}), 503)
        assert what in said["what"] and remedy in said["remedy"]
        assert ("retrain" in said["remedy"]) == (now == {})
        registry = asker("GET", "/ready")[2]["registry"]
    assert registry == now.get("registry", "read" if now.get("looked", True) else "not looked at yet")


def test_ready_is_open_to_all_and_names_no_address_with_its_password():
    address = "http://me:Zqsecret1@mlflow:5000/api"
    champion = restated(Standing(None), registry=f"ConnectionError: {address} refused", refused=f"version 8: at {address}")
    with served(service(champion)) as asker:
        _, _, said = asker("GET", "/ready")
        assert said["registry"] == "ConnectionError: http://***@mlflow:5000/api refused"
        assert "Zqsecret1" not in str(said) + str(asker("POST", "/predict", {"text": "a"})) + str(asker("GET", "/metrics"))


def test_it_says_which_version_answers_and_what_is_not_as_it_should_be(champion):
    champion = restated(Standing(champion.current), registry="ConnectionError: refused", refused="version 8: damaged", wanted="8")
    with served(service(champion)) as asker:
        status, _, said = asker("GET", "/ready")
        assert status == 200 and said["ready"] and said["version"] == "7" and said["alias_names"] == "8"
        assert said["registry"] == "ConnectionError: refused" and said["refused"] == "version 8: damaged"
        numbers = asker("GET", "/metrics")[2]
        for line in ("tunekeeper_registry_up 0.0", "tunekeeper_model_refused 1.0", "tunekeeper_ready 1.0"):
            assert line in numbers


def test_what_it_did_can_be_counted(champion):
    with served(service(champion)) as asker:
        asker.predict(*TEXTS[:20])
        asker("POST", "/predict", {"text": 3})
        asker("GET", "/nowhere/12345")
        numbers = dict(line.rpartition(" ")[::2] for line in asker("GET", "/metrics")[2].splitlines() if not line.startswith("#"))
    assert numbers['tunekeeper_requests_total{path="/predict",status="200"}'] == "1.0"
    assert numbers['tunekeeper_requests_total{path="/predict",status="422"}'] == "1.0"
    assert numbers['tunekeeper_requests_total{path="other",status="404"}'] == "1.0"
    assert numbers['tunekeeper_answers_total{version="7"}'] == "20.0"
    assert numbers["tunekeeper_batch_rows_sum"] == "20.0" and numbers["tunekeeper_batch_rows_count"] == "3.0"
    assert numbers["tunekeeper_predict_seconds_count"] == "1.0" and float(numbers["tunekeeper_model_seconds_total"]) > 0
    assert numbers['tunekeeper_model_info{model="tiny",version="7"}'] == "1.0"
    assert {"tunekeeper_waiting", "tunekeeper_swaps_total", "tunekeeper_load_failures_total"} <= numbers.keys()


def test_it_describes_itself_with_examples_that_it_answers(ask):
    status, _, page = ask("GET", "/openapi.json")
    assert status == 200 and {"/predict", "/feedback", "/audit", "/health", "/ready", "/metrics"} <= page["paths"].keys()
    body = page["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert len(body["examples"]) == 2
    for example in body["examples"].values():
        assert ask("POST", "/predict", example["value"])[0] == 200
    assert json.dumps(page["paths"]["/predict"]["post"]["responses"]["200"]).count("$ref") == 2
    assert "#/$defs/" not in json.dumps(page)


def refused(page):
    """The statuses of each path that are no answers."""
    return {
        path: {int(status) for status in operation["responses"] if int(status) >= 400}
        for path, methods in page["paths"].items()
        for operation in methods.values()
    }


def test_the_description_is_whole_and_of_its_schema(ask):
    from fastapi.openapi.models import OpenAPI
    from jsonschema import Draft202012Validator

    _, _, page = ask("GET", "/openapi.json")
    OpenAPI.model_validate(page)
    for schema in page["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(page)))
    assert named == page["components"]["schemas"].keys()
    for path, methods in page["paths"].items():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                (kind,) = response["content"]
                assert kind == ("text/plain" if (path, status) == ("/metrics", "200") else "application/json")
                assert response["content"][kind]["schema"] and response["description"], (path, status)


def test_what_each_path_refuses_is_described_and_a_key_where_one_is_demanded(champion, ask):
    body = {400, 408, 413, 415, 422, 500, 503, 504}
    asked = {"/predict": body, "/feedback": body | {409}, "/audit": {409, 422, 500, 503, 504}}
    told = {"/health": set(), "/ready": {503}, "/metrics": set()}
    page = ask("GET", "/openapi.json")[2]
    assert refused(page) == {path: statuses | {403} for path, statuses in (asked | told).items()}
    assert "security" not in json.dumps(page)
    with served(service(champion, local=False)) as asker:
        page = asker("GET", "/openapi.json")[2]
    audits = {path: statuses | ({403} if path != "/predict" else set()) for path, statuses in asked.items()}
    assert refused(page) == audits | told and "securitySchemes" not in page["components"]
    with served(service(champion, keys=NAMED.values(), local=False)) as asker:
        page = asker("GET", "/openapi.json", None, bearer("app"))[2]
    limited = {"/predict": {429}, "/feedback": {429}}
    locked = {path: statuses | {401, 403} | limited.get(path, set()) for path, statuses in (asked | {"/metrics": set()}).items()}
    assert refused(page) == told | locked
    demanded = {path for path, methods in page["paths"].items() for one in methods.values() if "security" in one}
    assert demanded == locked.keys() and page["components"]["securitySchemes"].keys() == {"bearer", "header"}
    for path, role in {
        "/predict": "ask",
        "/feedback": "audit",
        "/audit": "audit",
        "/metrics": "metrics",
        "/ready": "metrics",
    }.items():
        assert f"`{role}`" in next(iter(page["paths"][path].values()))["description"]


# --- the traffic -----------------------------------------------------------------------------------------------------


@pytest.fixture
def logged(champion, tmp_path):
    """A service with a real log; `read` closes nothing and sees all."""
    from tasks.traffic.log import open_traffic, pending_audits

    def audits(most, start):
        found = pending_audits(tmp_path, "tiny", start=start, most=most).astype({"time": str})
        return found[[name for name in DrawnAnswer.model_fields if name in found]].to_dict("records")

    traffic = open_traffic(tmp_path, "tiny", None, lambda texts: [text.replace("anna@example.org", "<E>") for text in texts])
    with served(service(champion, traffic, audits=audits, audit_rate=0.5)) as asker:
        asker.home, asker.traffic = tmp_path, traffic
        yield asker


@pytest.fixture
def logged_with_keys(champion, tmp_path):
    """A service with keys of all roles."""
    from tasks.traffic.log import open_traffic

    traffic = open_traffic(tmp_path, "tiny")
    with served(service(champion, traffic, keys=NAMED.values(), local=False)) as asker:
        yield asker
    traffic.close()


def test_every_answer_is_in_the_log_as_the_model_saw_it_and_said_it(logged, expected):
    from tasks.traffic.log import read_answers

    said = logged.predict(*TEXTS[:19], "Write to anna@example.org")["answers"]
    logged.traffic.flush()
    rows = read_answers(logged.home, "tiny").set_index("id").loc[[one["id"] for one in said]]
    assert rows["text"].tolist()[:19] == TEXTS[:19] and re.fullmatch(r"Write to <EMAIL_ADDRESS:[0-9a-f]{8}>", rows["text"].iloc[19])
    assert rows["prediction"].tolist() == [one["label"] for one in said]
    assert rows["score"].tolist() == [one["score"] for one in said]
    assert set(rows["version"]) == {"7"} and set(rows["origin"]) == {"predict"} and (rows["latency_ms"] > 0).all()
    assert set(rows["audit_probability"]) == {0.5} and set(rows["audit"]) == {True, False}


def test_feedback_is_taken_and_refused_by_its_kind_and_size(logged):
    from tasks.traffic.log import read_feedback

    one = logged.predict("a")["answers"][0]["id"]
    for said in ({"kind": "label", "value": "red first"}, {"kind": "thumb", "value": "down", "source": "audit"}):
        status, _, taken = logged("POST", "/feedback", {"answer_id": one, **said})
        assert status == 202 and re.fullmatch("[0-9a-f]{32}", taken["id"])
    for said, where in {
        '{"kind": "thumb", "value": "sideways"}': "value",
        '{"kind": "label", "value": ""}': "value",
        '{"kind": "label", "value": "%s"}' % ("a" * 201): "value",
        '{"kind": "correction", "value": "a"}': "body.kind",
        '{"kind": "label", "value": "a", "source": "nobody"}': "source",
        '{"kind": "label", "value": "a", "answer_id": "../x"}': "answer_id",
        '{"value": "a"}': "body",
    }.items():
        assert where in fault(logged("POST", "/feedback", {"answer_id": one, **json.loads(said)}), 422)["where"]
    logged.traffic.flush()
    rows = read_feedback(logged.home, "tiny")
    assert rows[["answer_id", "kind", "value", "source"]].to_numpy().tolist() == [
        [one, "label", "red first", "user"],
        [one, "thumb", "down", "audit"],
    ]


def test_feedback_of_a_kind_that_is_not_read_is_told_which_are(logged):
    said = fault(logged("POST", "/feedback", {"answer_id": HEX, "kind": "correction", "value": "red first"}), 422)
    assert (said["what"], said["where"]) == ("`kind` is none of 'thumb', 'label'", "body.kind")


def test_feedback_that_cannot_be_prepared_now_is_put_off(champion, tmp_path):
    from tasks.traffic.log import open_traffic, read_feedback

    def away(_):
        raise InfraError("the process beside this one was ended")

    traffic = open_traffic(tmp_path, "tiny", None, away)
    with served(service(champion, traffic)) as asker:
        _, headers, _ = found = asker("POST", "/feedback", {"answer_id": HEX, "kind": "label", "value": "red first"})
        assert "again" in fault(found, 503)["remedy"] and headers["Retry-After"] == "1"
        assert asker("POST", "/feedback", {"answer_id": HEX, "kind": "thumb", "value": "up"})[0] == 202
    traffic.close()
    assert read_feedback(tmp_path, "tiny")["kind"].tolist() == ["thumb"]


def test_audits_are_listed_until_somebody_has_labelled_them(logged):
    answered = logged.predict(*TEXTS[:20])["answers"]
    logged.traffic.flush()
    _, _, first = logged("GET", "/audit?n=100")
    drawn = {one["id"] for one in first["answers"]}
    assert drawn and drawn < {one["id"] for one in answered}
    label = {"answer_id": first["answers"][0]["id"], "kind": "label", "value": "red first", "source": "audit"}
    assert logged("POST", "/feedback", label)[0] == 202
    logged.traffic.flush()
    assert {one["id"] for one in logged("GET", "/audit?n=100")[2]["answers"]} == drawn - {label["answer_id"]}
    assert len(logged("GET", "/audit?n=1")[2]["answers"]) == min(1, len(drawn) - 1)


def test_with_the_log_away_audits_are_put_off_and_answers_are_not(champion, tmp_path):
    from tasks.traffic.log import open_traffic

    def away(*_):
        raise InfraError("the traffic log at postgresql://host/db does not answer")

    traffic = open_traffic(tmp_path, "tiny")
    with served(service(champion, traffic, audits=away)) as asker:
        status, headers, said = asker("GET", "/audit")
        assert status == 503 and headers["retry-after"] == "60" and "postgresql" not in str(said)
        assert len(asker.predict(*TEXTS[:3])["answers"]) == 3
    traffic.close()


@pytest.fixture
def held():
    """A call that returns when its gate is open; `given` is what it was called with."""

    def call(*given):
        call.given.append(given)
        call.gate.wait(20)
        return []

    call.gate, call.given = threading.Event(), []
    yield call
    call.gate.set()


def test_audits_that_take_too_long_are_given_up_and_hold_up_no_feedback(champion, tmp_path, held):
    from tasks.traffic.log import open_traffic

    traffic = open_traffic(tmp_path, "tiny")
    with served(service(champion, traffic, audits=held, timeout_seconds=0.3)) as asker:
        for _ in range(2):
            _, headers, _ = found = asker("GET", "/audit")
            assert "fewer `days`" in fault(found, 504)["remedy"] and headers["Retry-After"] == "1"
        assert len(held.given) == 1, "nobody waits for an answer that was given up"
        assert asker("POST", "/feedback", {"answer_id": HEX, "kind": "thumb", "value": "up"})[0] == 202
        held.gate.set()
        assert asker("GET", "/audit")[2] == {"answers": []}
    traffic.close()


def test_feedback_that_has_not_begun_in_time_is_given_up_and_never_kept_and_what_has_is_waited_for(champion, tmp_path, held):
    from tasks.traffic.log import open_traffic, read_feedback

    def clean(texts):
        held(texts)
        return texts

    answers, label = [], {"answer_id": HEX, "kind": "label", "source": "user"}
    traffic = open_traffic(tmp_path, "tiny", None, clean)
    with served(service(champion, traffic, timeout_seconds=0.3)) as asker:
        first = threading.Thread(target=lambda: answers.append(asker("POST", "/feedback", {**label, "value": "begun"})))
        first.start()
        while not held.given:
            time.sleep(0.005)
        _, headers, _ = found = asker("POST", "/feedback", {**label, "value": "late"})
        assert "again in a second" in fault(found, 504)["remedy"] and headers["Retry-After"] == "1"
        assert asker("GET", "/audit")[0] == 200 and not answers
        held.gate.set()
        first.join()
        assert answers[0][0] == 202
    traffic.close()
    assert read_feedback(tmp_path, "tiny")[["id", "value"]].to_numpy().tolist() == [[answers[0][2]["id"], "begun"]]


def test_audits_are_of_the_newest_week_unless_other_days_are_asked_for(champion, tmp_path, held):
    from tasks.traffic.log import open_traffic

    held.gate.set()
    traffic = open_traffic(tmp_path, "tiny")
    with served(service(champion, traffic, audits=held)) as asker:
        asker("GET", "/audit")
        asker("GET", "/audit?n=3&days=0.5")
        for days in ("0", "-1", "nan", "inf", "x"):
            assert fault(asker("GET", f"/audit?days={days}"), 422)["where"] == "query.days"
    traffic.close()
    now = datetime.now(UTC)
    assert [n for n, _ in held.given] == [20, 3]
    for (_, start), days in zip(held.given, (7, 0.5), strict=True):
        assert timedelta(0) <= now - timedelta(days=days) - start < timedelta(minutes=1)

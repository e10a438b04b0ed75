"""Wherever a URL holds a credential, no text shows it, no config takes it, and what is no credential stays as it was."""

import json
import logging
import os
import re
import string
import subprocess
import sys
from urllib.parse import quote

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from configs.credentials import CleanLogRecord, clean_value, credential_in, mask_value, refused_pattern, without_credentials
from configs.errors import InfraError, InputError
from configs.schema import Data, Pipeline
from tasks.common.orchestration import task

SCHEMES = (
    "postgresql",
    "postgresql+psycopg2",
    "postgres+psycopg2",
    "POSTGRES",
    "mysql",
    "http",
    "HTTPS",
    "s3",
    "redis",
    "amqp",
    "git+https",
)
NAMES = (
    "password", "Password", "PASSWORD", "pass%77ord", "sslpassword", "passwd", "pwd", "token", "access_token",
    "api_key", "apikey", "client_secret", "sig", "X-Amz-Signature", "X-Amz-Security-Token", "secret_access_key",
)  # fmt: skip
# What people type and should have percent-encoded; a quote, a bracket and a space end a URL in a text.
RAW = "".join(sorted(set(string.printable) - set(string.whitespace) - set('"<>&')))
SECRETS = st.text(string.ascii_letters + string.digits, min_size=6, max_size=8).map(lambda core: f"Zq{core}")
WORDS = st.text(string.ascii_lowercase, min_size=1, max_size=8)
HOSTS = st.sampled_from(["db.example.com", "10.0.0.1:5432", "[::1]:5432", "localhost", "host-1"])
PATHS = st.lists(WORDS, max_size=3).map(lambda parts: "".join(f"/{part}" for part in parts))
DRESSES = st.sampled_from(["{}", "'{}'", '"{}"', "cannot reach {}: refused", "({})", "a={}", "see {}, then {}", "{}\n{}", "[{}]"])


@st.composite
def urls(draw):
    """A URL and the credential in it, in any of the places that a URL has for one."""
    core, scheme = draw(SECRETS), draw(st.sampled_from(SCHEMES))
    host, path, user = draw(HOSTS), draw(PATHS), draw(WORDS | st.just(""))
    before, after = draw(st.text(RAW, max_size=3)), draw(st.text(RAW, max_size=3))
    name, other = draw(st.sampled_from(NAMES)), draw(st.sampled_from(["", "sslmode=require&", "a=b&c=&"]))
    encoded = quote(before, safe="") + core + quote(after, safe="")
    match draw(st.integers(0, 5)):
        case 0:
            return f"{scheme}://{user}:{before}{core}{after}@{host}{path}", core
        case 1:
            return f"{scheme}://{user}:{encoded}@{host}{path}?{other}x=1", core
        case 2:
            return f"{scheme}://{host}{path}?{other}{name}={encoded}", core
        case 3:
            return f"{scheme}://{host}{path}?{other}{name}={encoded}&x=1#end", core
        case 4:
            return f"{scheme}://{host}{path}#{name}={encoded}", core
        case _:
            return f"https://{core}@{host}{path}", core


@settings(max_examples=1500, deadline=None)
@given(urls(), DRESSES)
@example(("postgresql://u:secret1@h/d/t", "secret1"), "{}")
@example(("postgres+psycopg2://h/d/t?Password=secret1", "secret1"), "{}")
@example(("http://u:1/Zqsecret1@h/x", "Zqsecret1"), "'{}'")
def test_no_text_shows_a_credential(built, dress):
    url, secret = built
    assume(not re.match(r"(?:[a-z]+\+)?https?://[^/@]*:\d{1,5}[/?#]", url, re.IGNORECASE))  # a port, no password
    text = dress.format(url, url)
    plain = without_credentials(text)
    assert secret not in plain and "***" in plain
    assert without_credentials(plain) == plain
    assert secret not in json.dumps(clean_value({url: [url, (text, 1, None)]}))
    assert secret not in str(InfraError(text)) + str(InputError(text))
    record = CleanLogRecord("a", logging.ERROR, "a.py", 1, "at %s: %s", (url, ValueError(text)), None)
    assert secret not in record.getMessage() + str(record.args[0])


@settings(max_examples=500, deadline=None)
@given(urls())
@example(("postgresql+psycopg2://u:my Zqpass@h/d/t", "Zqpass"))
def test_no_config_takes_a_credential_and_the_refusal_does_not_say_it(built):
    url, secret = built
    assume(not re.match(r"(?:[a-z]+\+)?https?://[^/@]*:\d{1,5}[/?#]", url, re.IGNORECASE))
    assert credential_in(url) is not None and secret not in credential_in(url)
    for source in (url, ("rows.csv", url)):
        with pytest.raises(ValidationError) as refused:
            Data(source=source)
        assert secret not in str(refused.value) and "leave it out" in str(refused.value)


PLAIN = (
    "postgresql+psycopg2://db.example.com:5432/shop/tickets",
    "postgresql+psycopg2://reader@db/shop/tickets?service=shop&sslkey=/a/b.key&passfile=/home/me/.pgpass&sslmode=require",
    "http://127.0.0.1:4200/api/flow_runs/@me",
    "http://[::1]:5000/#/models/helpdesk@champion",
    "abfss://container@account.dfs.core.windows.net/rows",
    "s3://bucket/rows.csv",
    "hf://org/name@main/train",
    "models:/helpdesk@champion",
    "sqlite:////var/data/table.db/t",
    "training.seed=1 max_new_tokens=64 pad_token=<pad> key=value",
    "set PREFECT_API_AUTH_STRING (USER:PASSWORD)",
    "ask a@b.example: the tickets of 10:30 are late",
    "examples/helpdesk/tickets.csv",
    "Is it better? Yes: fewer tokens",
    "ok; the secret-santa rows are gone",
    "exports/Q&A tokens/x.csv",
    "s3://b/R&D/secret-santa/x.csv",
    "data#1/passwords.csv",
    "data/secret=1/x.csv",
    "s3://b/data/password=yes/x.csv",
    "https://h/x?page_token=1&nextToken=2&continuation-token=3",
    "https://h/x?token_type=csv&tokenizer=bert",
    "see http://h: and mail a@b",
    "http://[::1]:5000 is a@b",
    '{"url":"postgresql://host:5432/db","who":"a@b"}',
    '[{"url":"redis://host:6379"},{"who":"a@b"}]',
    "['http://host:80','a@b']",
    '{"q":"password=","b":1}',
)


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_no_credential_stays(text):
    assert without_credentials(text) == text and credential_in(text) is None
    assert re.search(refused_pattern(), text)


@pytest.mark.parametrize(
    "text",
    [
        "hooks.slack.com/services/T0/B0/Zqsecret1",
        "https://discord.com/api/webhooks/1/Zqsecret1",
        "https://api.telegram.org/botZqsecret1/x",
    ],
)
def test_the_path_of_a_webhook_is_a_credential(text):
    assert "Zqsecret1" not in without_credentials(f"POST https://{text} failed")


def test_a_connection_string_and_an_assignment_hold_one_too():
    said = without_credentials("could not connect with host=db user=me password='Zq secret' dbname=shop; PGPASSWORD=Zqsecret1")
    assert said == "could not connect with host=db user=me password=*** dbname=shop; PGPASSWORD=***"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ('password="hunter2"', "password=***"),
        ('password = "hunter2 two" x=1', "password = *** x=1"),
        (r"password='it\'s hunter2' x=1", "password=*** x=1"),
        (r'password="a \" hunter2" x=1', "password=*** x=1"),
        (r'{"dsn":"password=\"hunter2\" x","b":1}', '{"dsn":"password=*** x","b":1}'),
        ('password="hunter2', "password=***"),
        ("['--url=http://h?token=hunter2','b=1']", "['--url=http://h?token=***','b=1']"),
    ],
)
def test_a_value_in_quotes_is_masked_to_its_last_quote_and_no_further(text, plain):
    assert without_credentials(text) == plain and credential_in(text) is not None


PARTS = (
    "://", "http", "pg", "u", ":", "@", "/", "?", "&", ";", "#", "=", " ", "[", "'", '"', "5432", "a", "s", "_", "-", "%73",
    "\u0663", ",", "}", "password", "Secret", "token", "page", "access_", "api_key", "pass",
)  # fmt: skip


@settings(max_examples=3000, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=12).map("".join))
def test_what_the_pattern_of_a_server_refuses_is_a_credential(text):
    assert re.search(refused_pattern(), text) or credential_in(text) is not None


@pytest.mark.parametrize(
    "text", ["a?token=x", "a?access_token=x", "a;PASSWORD=x", "a&client_secret=x", "a#api-key=x", "a://u:p@h", "a://u:p q@h"]
)
def test_the_pattern_of_a_server_knows_what_is_assigned(text):
    assert not re.search(refused_pattern(), text) and credential_in(text) is not None


def test_a_password_with_a_space_is_not_shown_where_it_is_refused():
    assert mask_value("postgresql://u:hunter two@host/db/t") == "postgresql://***@host/db/t"
    assert mask_value("postgresql://u:hunter two@host/db/t?password=hunter") == "postgresql://***@host/db/t?password=***"
    assert mask_value("a b://c d") == "a b://c d"


def test_the_traceback_of_a_log_is_without_credentials(caplog):
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(CleanLogRecord)
    try:
        try:
            raise ValueError("no answer from postgresql://u:Zqsecret1@h/d")
        except ValueError:
            logging.getLogger("a").exception("at http://u:Zqsecret1@h")
    finally:
        logging.setLogRecordFactory(before)
    assert "Zqsecret1" not in caplog.text and "ValueError: no answer from postgresql://***@h/d" in caplog.text


def test_the_schema_lets_a_server_refuse_a_credential_before_it_keeps_it():
    from jsonschema import Draft202012Validator

    schema = Draft202012Validator(Pipeline.model_json_schema())
    values = {"name": "a", "problem": "text-classification", "model": {"base": "b"}}
    assert schema.is_valid({**values, "data": {"source": PLAIN[0]}})
    for source in ("postgresql://u:Zqsecret1@h/d/t", ["rows.csv", "POSTGRES+psycopg2://h/d/t?Password=Zqsecret1"]):
        assert not schema.is_valid({**values, "data": {"source": source}})


def test_an_error_of_a_library_reaches_prefect_without_its_credential():
    @task(name="fails")
    def fails(error):
        raise error

    with pytest.raises(InfraError, match=r"ValueError: http://\*\*\*@h is away") as raised:
        fails.fn(ValueError("http://u:Zqsecret1@h is away"))
    assert raised.value.__cause__ is None and raised.value.__suppress_context__
    with pytest.raises(KeyError, match="plain"):
        fails.fn(KeyError("plain"))


@pytest.mark.parametrize(
    "unit", ["a", "://a:", "http://", "a=b&", "password=", "'", "x='", "://a:@", "password='", "?", "http://a:"]
)
def test_a_text_of_any_kind_costs_a_bounded_number_of_steps(unit):
    text = unit * (20_000 // len(unit))
    assert isinstance(without_credentials(text), str)


def test_an_error_that_nobody_catches_is_shown_without_its_credential(tmp_path):
    code = "from tasks.common.home import *; settle_environment(find_home()); raise ValueError('http://u:Zqsecret1@h is away')"
    environment = {**os.environ, "TUNEKEEPER_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code.replace("; ", "\n")], capture_output=True, text=True, env=environment)
    assert done.returncode == 1 and "ValueError: http://***@h is away" in done.stderr
    lines = done.stderr.splitlines()
    assert lines[0].startswith("Traceback") and "Zqsecret1" not in lines[-1]


def test_a_text_that_a_person_types_into_a_form_of_prefect_is_checked_there_too():
    from flows.approve import ApprovalForm
    from flows.retrain_config import retrain_config
    from flows.score import score

    form = ApprovalForm.model_json_schema()["properties"]
    assert {form[name]["pattern"] for name in ("who", "reason")} == {refused_pattern()}
    assert score.parameters.properties["source"]["pattern"] == refused_pattern()
    assert refused_pattern() in {
        each.get("items", {}).get("pattern") for each in retrain_config.parameters.properties["overrides"]["anyOf"]
    }

"""The page of the service's paths: all of it from this machine, none of it the service's own, so that it wants no key."""

import re

import pytest
from serving_parts import Standing, served, service

from tasks.serving.http.docs_page import FILES, PAGE

KEY = "key-of-the-application"


@pytest.fixture(scope="module")
def asks():
    with served(service(Standing(None))) as plain, served(service(Standing(None), keys=(f"app:ask:{KEY}",), local=False)) as keyed:
        yield plain, keyed


def test_the_page_and_what_it_names_come_from_the_service_with_keys_or_without(asks):
    for ask in asks:
        status, headers, page = ask("GET", PAGE)
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        names = re.findall(r'(?:src|href)="(?!data:)([^"]*)"', page)
        assert {f"/{name}" for name in names} == FILES.keys() - {PAGE}
        for name in names:
            status, headers, text = ask("GET", f"/{name}")
            assert status == 200 and headers["Content-Type"].partition(";")[0] in ("text/css", "text/javascript") and text


def test_nothing_of_it_may_ask_anywhere_else_or_stand_in_another_page(asks):
    policy = asks[0]("GET", PAGE)[1]["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert "script-src 'self';" in policy, "no script but the files'"
    assert not re.search(r"<script>|onclick|https?:", FILES[PAGE].read_text())


def test_what_it_describes_wants_a_key_where_the_service_has_some(asks):
    plain, keyed = asks
    assert plain("GET", "/openapi.json")[0] == 200
    assert keyed("GET", "/openapi.json")[0] == 401 and keyed("GET", "/openapi.json", None, {"X-API-Key": KEY})[0] == 200
    assert not [path for path in plain("GET", "/openapi.json")[2]["paths"] if path.startswith(PAGE)]


def test_without_keys_another_sites_name_for_this_machine_is_refused(asks):
    assert asks[0]("GET", PAGE, None, {"Host": "evil.example"})[0] == 403

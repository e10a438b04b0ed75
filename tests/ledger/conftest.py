"""A ledger on each kind of database, and a model that no other test knows."""

from __future__ import annotations

import uuid

import pytest
from ledger_child import DATABASES, database_url

from tasks.ledger.promotions import Ledger


@pytest.fixture(params=DATABASES)
def url(request, tmp_path):
    return database_url(request.param, tmp_path)


@pytest.fixture
def ledger(url):
    return Ledger(url)


@pytest.fixture
def model():
    return f"helpdesk-{uuid.uuid4().hex[:8]}"

"""What the tests of learning, serving and flows share: tiny bases on disk, and an environment that is quiet and local."""

import os
from pathlib import Path

import pytest
import tiny

from tasks.home import ENVIRONMENT

# before torch is imported: the tests' nets are too small for more, and equality bit for bit is claimed at equal threads
os.environ |= {**ENVIRONMENT, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL"}


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory) -> Path:
    return tiny.bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory) -> Path:
    return tiny.llama(tmp_path_factory.mktemp("llama"))

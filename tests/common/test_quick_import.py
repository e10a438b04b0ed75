"""Imports without a search for garbage: none while they go on, and none among what they made."""

import gc

import pytest

from tasks.common.processes import quick_import


def test_nothing_is_searched_while_a_block_imports_and_what_it_made_is_left_alone_afterwards():
    frozen = gc.get_freeze_count()
    with quick_import():
        assert not gc.isenabled()
        made = [[] for _ in range(1000)]
    assert gc.isenabled() and gc.get_freeze_count() >= frozen + len(made)
    gc.unfreeze()


def test_a_search_that_was_off_stays_off_and_one_that_was_on_survives_a_failed_import():
    gc.disable()
    with quick_import():
        pass
    assert not gc.isenabled()
    gc.enable()
    with pytest.raises(ImportError), quick_import():
        raise ImportError
    assert gc.isenabled()
    gc.unfreeze()

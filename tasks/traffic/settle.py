"""What becomes of finished journals: their records go to the store, and what cannot be read is kept beside."""

from __future__ import annotations

import logging
from pathlib import Path

from tasks.common.memory import give_back
from tasks.traffic.journal import claim_finished, content_of, list_journals
from tasks.traffic.records import decode_records
from tasks.traffic.store import Store

DAMAGED = ".damaged"  # ends the name of a journal that was moved, as far as it could be read
log = logging.getLogger(__name__)


def settle_journals(folder: Path, store: Store) -> None:
    """Move every finished journal to the store; killed in between, the next does it again, and nothing is there twice.

    One with lines that cannot be read is not removed but renamed, and never read again.
    """
    for path in list_journals(folder):
        with claim_finished(path) as mine:
            content = content_of(path) if mine else None
            if content is not None:
                records = decode_records(content)
                store.put(path.stem, records.tables)
                if records.damaged:
                    _keep_damaged(path, records.damaged)
                else:
                    path.unlink(missing_ok=True)
                give_back()


def _keep_damaged(path: Path, damaged: int) -> None:
    aside = path.with_name(path.name + DAMAGED)
    path.replace(aside)
    log.error("%d lines of the journal %s cannot be read: the others were moved, and it is kept as %s", damaged, path, aside.name)

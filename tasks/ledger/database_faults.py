"""Errors of a ledger's database: which may pass by themselves, and what to do about the others."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from configs.errors import InfraError
from tasks.common.sqlite_files import IN_THE_WAY

FINAL = {
    **IN_THE_WAY,
    "read-only": "the database is read-only: point TUNEKEEPER_LEDGER_URL at the primary",
    "not a database": "the file is no SQLite database: point TUNEKEEPER_LEDGER_URL elsewhere, or restore it",
    "malformed": "the file is damaged: restore it from a backup",
    "password authentication failed": "the user or password is wrong: check TUNEKEEPER_LEDGER_URL",
    "canceling statement": "another process holds what was asked for: let it end, or stop it, then run again",
    "permission denied": "the user may not do this: grant it rights on the ledger's tables",
}


def may_pass(error: BaseException) -> bool:
    """Whether the error may pass by itself: busy, restarting, unreachable; not full, read-only, refused."""
    return isinstance(error, OperationalError | InterfaceError) and not any(sign in str(error.orig) for sign in FINAL)


def database_fault(ledger: str, error: DBAPIError, attempts: int) -> InfraError:
    """The error for the user of a ledger of this name: what is wrong with its database, and what to do about it."""
    message = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
    passing = "is it up and reachable? Check TUNEKEEPER_LEDGER_URL, then run the same command again"
    remedy = next((text for sign, text in FINAL.items() if sign in str(error.orig)), passing)
    tried = f" after {attempts} attempts" if attempts > 1 else ""
    return InfraError(f"the ledger at {ledger} does not answer{tried} ({message}): {remedy}. Nothing written to it is lost.")

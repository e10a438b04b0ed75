"""Presidio's recognizer classes without its package's `__init__`, which imports spaCy and torch: 0.2 s instead of 4 to 6.

Patterns need none of them, and this is on the path of every training run and of every served model.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer

CLASSES = {
    "EMAIL_ADDRESS": ("email_recognizer", "EmailRecognizer"),
    "PHONE_NUMBER": ("phone_recognizer", "PhoneRecognizer"),
    "CREDIT_CARD": ("credit_card_recognizer", "CreditCardRecognizer"),
    "IBAN_CODE": ("iban_recognizer", "IbanRecognizer"),
    "IP_ADDRESS": ("ip_recognizer", "IpRecognizer"),
    "URL": ("url_recognizer", "UrlRecognizer"),
    "CRYPTO": ("crypto_recognizer", "CryptoRecognizer"),
    "MAC_ADDRESS": ("mac_recognizer", "MacAddressRecognizer"),
    "US_SSN": ("us_ssn_recognizer", "UsSsnRecognizer"),
}
# What the recognizer modules take from their package, in the order in which each needs those before it.
_PARTS = (
    ("analysis_explanation", "AnalysisExplanation"),
    ("recognizer_result", "RecognizerResult"),
    ("entity_recognizer", "EntityRecognizer"),
    ("local_recognizer", "LocalRecognizer"),
    ("pattern", "Pattern"),
    ("pattern_recognizer", "PatternRecognizer"),
)


@cache
def recognizer_classes(entities: tuple[str, ...]) -> dict[str, type[EntityRecognizer]]:
    """The recognizer class of each entity; the real package is used where something else has imported it already.

    Imported once for each choice of entities: imported modules are never freed, and a service loads models for months.
    """
    root = "presidio_analyzer"
    if root not in sys.modules:
        with _stub_package(root):
            return {name: _recognizer_class(root, name) for name in entities}
    return {name: _recognizer_class(root, name) for name in entities}


def _recognizer_class(root: str, entity: str) -> type[EntityRecognizer]:
    module, name = CLASSES[entity]
    place = "country_specific.us" if entity == "US_SSN" else "generic"
    recognizer: type[EntityRecognizer] = getattr(importlib.import_module(f"{root}.predefined_recognizers.{place}.{module}"), name)
    return recognizer


@contextmanager
def _stub_package(root: str) -> Iterator[None]:
    """Stand empty packages in for presidio's, whose `__init__` would import the NLP engines; take them away afterwards."""
    spec = importlib.util.find_spec(root)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("presidio_analyzer is not installed: run `make install`")
    folder = spec.submodule_search_locations[0]
    try:
        for name in (
            "",
            ".predefined_recognizers",
            ".predefined_recognizers.generic",
            ".predefined_recognizers.country_specific.us",
        ):
            _install_stub_module(root + name, folder + name.replace(".", "/"))
        _install_stub_module(f"{root}.predefined_recognizers.country_specific", f"{folder}/predefined_recognizers/country_specific")
        _install_stub_module(f"{root}.nlp_engine", f"{folder}/nlp_engine").NlpArtifacts = object  # type: ignore[attr-defined]
        for module, name in _PARTS:
            setattr(sys.modules[root], name, getattr(importlib.import_module(f"{root}.{module}"), name))
        yield
    finally:
        for name in [m for m in sys.modules if m == root or m.startswith(f"{root}.")]:
            del sys.modules[name]


def _install_stub_module(name: str, path: str) -> ModuleType:
    module = ModuleType(name)
    module.__path__ = [path]
    sys.modules[name] = module
    return module

"""Texts with labelled spans, made from the data sets that lie beside the checkout; see `problem_data.py`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd

from benchmarks.accuracy import DATA


def write_personal(folder: Path, most: int) -> list[str]:
    """Synthetic texts with marked personal data, at most so many; texts of one template are a group."""
    rows = json.loads((DATA / "pii_presidio" / "synth_dataset_v2.json").read_text(encoding="utf-8"))
    (folder / "personal.json").write_text(json.dumps(rows[:most], ensure_ascii=False), encoding="utf-8")
    return [f"data.source={folder / 'personal.json'}"]


def write_products(folder: Path, most: int) -> list[str]:
    """The catalog's descriptions with their product and vendor marked where they stand word for word; where both do, the product."""
    rows = pd.read_csv(DATA / "cisa_kev" / "known_exploited_vulnerabilities.csv").head(most)
    with (folder / "products.jsonl").open("w", encoding="utf-8") as file:
        for row in rows.itertuples():
            spans: list[dict[str, object]] = []
            for label, name in (("PRODUCT", row.product), ("VENDOR", row.vendorProject)):
                for match in re.finditer(rf"(?<!\w){re.escape(str(name))}(?!\w)", str(row.shortDescription)):
                    if all(match.end() <= int(str(span["start"])) or match.start() >= int(str(span["end"])) for span in spans):
                        spans.append({"start": match.start(), "end": match.end(), "label": label})
            file.write(json.dumps({"cve": row.cveID, "description": row.shortDescription, "spans": spans}) + "\n")
    return [f"data.source={folder / 'products.jsonl'}"]

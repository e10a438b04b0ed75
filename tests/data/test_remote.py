"""Files at an address: listed, hashed and read as files of a folder are; a login never stands in a config."""

from __future__ import annotations

import bz2
import functools
import gzip
import http.server
import subprocess
import sys
import threading

import fsspec
import pandas as pd
import pytest
from pydantic import ValidationError

from configs.errors import InfraError, InputError
from configs.schema import Data
from tasks.data.preparation.load import loaded_source
from tasks.data.sources import remote
from tasks.data.sources.fingerprints import fingerprint_files
from tasks.data.sources.read_files import read_chunks
from tasks.data.sources.source_files import left_out, resolve_source, source_files

TABLE = pd.DataFrame([{"text": f"ticket {i}", "label": "a" if i % 2 else "b"} for i in range(6)])


@pytest.fixture
def store():
    """A store in memory with a folder of tickets."""
    files = fsspec.filesystem("memory")
    files.pipe("/tickets/a.csv", TABLE.to_csv(index=False).encode())
    files.pipe("/tickets/deep/b.csv.gz", gzip.compress(TABLE.to_csv(index=False).encode()))
    files.pipe("/tickets/notes.txt", b"x")
    with files.open("/tickets/c.parquet", "wb") as out:
        TABLE.to_parquet(out)
    yield files
    files.rm("/tickets", recursive=True)


@pytest.fixture
def web(tmp_path):
    """A folder served over HTTP on this machine: its address."""
    (tmp_path / "web").mkdir()
    handler = functools.partial(Silent, directory=str(tmp_path / "web"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def texts(home, **data):
    with loaded_source(Data(**data), "text-classification", home) as raw:
        return pd.concat(raw.frames(), ignore_index=True)


def test_a_file_a_folder_and_a_pattern_of_a_store_are_sources(store, tmp_path):
    assert [file.name for file in resolve_source("memory://tickets")] == ["a.csv", "c.parquet", "deep/b.csv.gz"]
    assert [file.name for file in resolve_source("memory://tickets/*.csv")] == ["a.csv"]
    assert [(file.name, file.format, file.is_local) for file in resolve_source("memory://tickets/a.csv")] == [
        ("a.csv", "csv", False)
    ]
    assert left_out(Data(source="memory://tickets"))[0].endswith("notes.txt (name it .csv or .tsv if it holds a table)")
    found = texts(tmp_path / "home", source="memory://tickets")
    assert found["text"].tolist() == 3 * TABLE["text"].tolist() and found["id"][0] == "a.csv#1"


def test_rows_of_a_store_are_those_of_the_same_files_here(store, tmp_path):
    store.get("/tickets", str(tmp_path / "here"), recursive=True)
    here, there = (texts(tmp_path / "home", source=place) for place in (str(tmp_path / "here"), "memory://tickets"))
    assert here.equals(there) and here.equals(texts(tmp_path / "home", source=f"file://{tmp_path}/here"))


def test_the_fingerprint_follows_the_content(store):
    before = fingerprint_files(resolve_source("memory://tickets"))
    assert before == fingerprint_files(resolve_source("memory://tickets"))
    store.pipe("/tickets/a.csv", b"text,label\nhello,x\n")
    after = fingerprint_files(resolve_source("memory://tickets"))
    assert {name for name in before if before[name] != after[name]} == {"a.csv"}


class Remembering(fsspec.get_filesystem_class("memory")):
    """A store whose client remembers what it saw, as those of S3 and Azure do."""

    protocol, seen = "remembering", {}

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace("remembering://", "memory://"))

    def info(self, path, **more):
        return self.seen.setdefault(path, {**super().info(path, **more), "ETag": f"{self.cat_file(path)!r}"})

    def invalidate_cache(self, path=None):
        self.seen.clear()


def test_what_a_client_remembers_is_not_taken_for_what_is_there(store):
    fsspec.register_implementation("remembering", Remembering, clobber=True)
    before = fingerprint_files(resolve_source("remembering://tickets/a.csv"))
    store.pipe("/tickets/a.csv", b"text,label\nhello,x\n")
    assert fingerprint_files(resolve_source("remembering://tickets/a.csv")) != before


def test_what_a_store_says_of_an_object_is_its_state_so_that_it_is_not_read_again(store, monkeypatch):
    told = {"size": 3, "ETag": '"one"'}
    monkeypatch.setattr(type(store), "info", lambda self, path, **_: {"name": path, "type": "file", **told})
    monkeypatch.setattr(type(store), "open", lambda *_, **__: pytest.fail("it was read"))
    first = remote.remote_digest("memory://tickets/a.csv")
    assert remote.remote_digest("memory://tickets/a.csv") == first
    told["ETag"] = '"two"'
    assert remote.remote_digest("memory://tickets/a.csv") != first


def test_a_test_file_that_lies_in_the_source_is_not_trained_on(store):
    rows, test = source_files("memory://tickets", "memory://tickets/a.csv")
    assert [file.name for file in rows] == ["c.parquet", "deep/b.csv.gz"] and [file.name for file in test] == ["a.csv"]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet", "a.xlsx"])
def test_a_file_on_the_web_is_a_source(web, tmp_path, monkeypatch, name):
    path = tmp_path / "web" / name
    monkeypatch.setattr(remote, "_BLOCK", 1000)
    {"csv": TABLE.to_csv, "gz": TABLE.to_csv, "xlsx": TABLE.to_excel, "parquet": TABLE.to_parquet}[name.rpartition(".")[2]](
        path, index=False
    )
    found = texts(tmp_path / "home", source=f"{web}/{name}")
    assert found["text"].tolist() == TABLE["text"].tolist() and found["id"][0] == f"{name}#1"
    assert list(fingerprint_files(resolve_source(f"{web}/{name}"))) == [name]


def test_what_is_not_there_is_the_users_and_a_store_that_is_away_is_not(store, web, tmp_path):
    for address in ("memory://tickets/none.csv", "memory://tickets/*.jsonl", "memory://nowhere", f"{web}/none.csv"):
        with pytest.raises(InputError, match="there is no such file or folder"):
            resolve_source(address)
    with pytest.raises(InfraError, match=r"its store does not answer"):
        resolve_source("http://127.0.0.1:9/a.csv")
    with pytest.raises(InputError, match="is no kind of address that is known"):
        resolve_source("s4://bucket/a.csv")
    with pytest.raises(InputError, match="a chain of addresses"):
        resolve_source("simplecache::memory://tickets/a.csv")


@pytest.mark.parametrize(("scheme", "extra", "module"), [("s3", "s3", "s3fs"), ("gs", "gcs", "gcsfs"), ("abfs", "azure", "adlfs")])
def test_a_missing_extra_is_named(monkeypatch, scheme, extra, module):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, scheme, raising=False)
    with pytest.raises(InfraError, match=rf"{scheme}:// needs a package.*pip install 'tunekeeper\[{extra}\]'"):
        resolve_source(f"{scheme}://bucket/a.csv")


@pytest.mark.parametrize(
    "address",
    [
        "s3://KEYID:secret@bucket/a.csv",
        "https://me:secret@host/a.csv",
        "https://secret@host/a.csv",
        "https://host/a.csv?X-Amz-Credential=a&X-Amz-Signature=secret",
        "https://host/a.csv?sv=2024&sig=secret",
        "https://host/a.csv?access_token=secret",
        "postgresql+psycopg2://me:secret@host/db/t",
    ],
)
def test_an_address_that_holds_a_login_is_refused_and_the_login_not_said(address):
    for given in ({"source": address}, {"source": "a.csv", "test": ("b.csv", address)}):
        with pytest.raises(ValidationError, match="leave it out") as refused:
            Data(**given)
        assert all("secret" not in error["msg"] for error in refused.value.errors())


@pytest.mark.parametrize(
    "address", ["https://host:99999/a.csv", "postgresql+psycopg2://host:0/db/t", "postgresql+psycopg2://h:x/d/t"]
)
def test_a_port_that_is_none_is_refused(address):
    with pytest.raises(ValidationError, match="a port is a number from 1 to 65535"):
        Data(source=address)


def test_an_address_needs_nothing_to_be_imported_until_it_is_asked():
    code = "import sys, tasks.data.sources.fingerprints; print('fsspec' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_a_damaged_file_of_a_store_is_the_users(store):
    whole = store.cat_file("/tickets/c.parquet")
    for content in (whole[:-20], whole[:4] + b"\xff" * 40 + whole[44:], whole[:40] + b"\xff" * 40 + whole[80:], b""):
        store.pipe("/tickets/c.parquet", content)
        (file,) = resolve_source("memory://tickets/c.parquet")
        with pytest.raises(InputError, match=r"(?s)tickets/c\.parquet: is (not a whole|a damaged) Parquet file .*copy it again"):
            list(read_chunks(file, ("text", "label"), 100))
    for name, codec in (("d.csv.gz", gzip), ("d.csv.bz2", bz2)):
        store.pipe(f"/tickets/{name}", codec.compress(TABLE.to_csv().encode())[:-9])
        with pytest.raises(InputError, match="is no whole"):
            list(read_chunks(resolve_source(f"memory://tickets/{name}")[0], ("text",), 100))


def test_a_name_may_hold_the_signs_of_a_pattern(store):
    for name in ("[old]/y.csv", "what?.csv"):
        store.pipe(f"/tickets/{name}", TABLE.to_csv(index=False).encode())
    assert [file.path for file in resolve_source("memory://tickets/[old]/y.csv")] == ["memory:///tickets/[old]/y.csv"]
    assert [file.name for file in resolve_source("memory://tickets/[old]")] == ["y.csv"]
    assert [file.name for file in resolve_source("memory://tickets/what?.csv")] == ["what?.csv"]
    assert [file.name for file in resolve_source("memory://tickets/[ab].csv")] == ["a.csv"]


@pytest.mark.parametrize("obeys", [True, False])
def test_a_packed_file_that_a_server_says_is_packed_on_its_way_is_read(web, tmp_path, monkeypatch, obeys):
    def end_headers(self):
        if not obeys or self.headers["Accept-Encoding"] != "identity":
            self.send_header("Content-Encoding", "gzip")
        http.server.SimpleHTTPRequestHandler.end_headers(self)

    monkeypatch.setattr(Silent, "end_headers", end_headers)
    (tmp_path / "web" / "x.csv.gz").write_bytes(gzip.compress(TABLE.to_csv(index=False).encode()))
    assert texts(tmp_path / "home", source=f"{web}/x.csv.gz")["text"].tolist() == TABLE["text"].tolist()


def test_the_format_of_an_address_is_told_by_its_name_and_so_is_the_remedy(web, tmp_path):
    (tmp_path / "web" / "dl").write_bytes(TABLE.to_csv(index=False).encode())
    with pytest.raises(InputError, match=r"x\.csv: its format cannot be told from `dl`: rows are .*; or set data\.format to csv"):
        resolve_source(f"{web}/dl?file=x.csv")
    assert len(texts(tmp_path / "home", source=f"{web}/dl?file=x.csv", format="csv")) == 6

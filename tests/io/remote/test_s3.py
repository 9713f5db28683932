"""Objects in S3 storage."""

import numpy as np
import pytest

from hepfilter.errors import SourceError
from hepfilter.io.remote import s3
from hepfilter.io.remote.replicas import open_replicas
from tests.servers import s3_environment, s3_server

boto3 = pytest.importorskip("boto3")
pytest.importorskip("moto.server")
DATA = np.random.default_rng(3).bytes(5_000_000)


@pytest.fixture(scope="module")
def endpoint():
    with s3_server() as address:
        yield address


@pytest.fixture
def client(endpoint, monkeypatch):
    """A client, by the variables that users have."""
    for name, value in s3_environment(endpoint).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HEPFILTER_REMOTE_OPEN", "20")  # a client takes a while to be made
    s3._client.cache_clear()
    client = boto3.client("s3")
    client.create_bucket(Bucket="skims", ACL="public-read")
    client.put_object(Bucket="skims", Key="run 3/a.root", Body=DATA, ACL="public-read")
    yield client
    s3._client.cache_clear()


@pytest.mark.parametrize("signed", [True, False])
def test_parts_of_an_object_are_read_with_credentials_and_without(client, monkeypatch, signed):
    if not signed:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    spans = [(0, 10), (1_000_000, 4_900_000), (4_999_990, 9_000_000)]
    with open_replicas(["s3://skims/run 3/a.root"]) as (_, source):
        assert source.size == len(DATA)
        assert [bytes(data) for data in source.many(spans)] == [DATA[start:stop] for start, stop in spans]


@pytest.mark.parametrize(
    ("address", "words"),
    [("s3://skims/b", "no such object; check the address"), ("s3://none-such/b", "no such object; check the address")],
)
def test_an_object_that_is_not_there_is_one_line(client, address, words):
    with pytest.raises(SourceError, match=f"^{address}: cannot be opened: {words}$"), open_replicas([address]):
        pass


def test_an_object_that_is_replaced_while_it_is_read_is_told(client):
    with open_replicas(["s3://skims/run 3/a.root"]) as (_, source):
        client.put_object(Bucket="skims", Key="run 3/a.root", Body=DATA[::-1])
        with pytest.raises(SourceError, match=r"cannot be read: the object changed while it was read$"):
            source(200, 210)


def test_a_server_that_is_gone_is_one_line(client, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(SourceError, match=r"cannot be opened: Could not connect .* \(3 attempts\); try again later$"):
        open_replicas(["s3://skims/a"]).__enter__()

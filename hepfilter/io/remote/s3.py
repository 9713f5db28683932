"""Objects in S3 storage: ``s3://bucket/key``, at ``AWS_ENDPOINT_URL`` or Amazon's own."""

import os
from collections.abc import Sequence
from functools import cache
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from hepfilter.io.remote.limits import RemoteLimits
from hepfilter.io.remote.transport import AT_ONCE, Piece, TransportError
from hepfilter.io.text import one_line

_FAULTS = (BotoCoreError, ClientError, OSError, ValueError)
_WORDS = {
    "403": "is forbidden: credentials come from AWS_ACCESS_KEY_ID, AWS_PROFILE and the like",
    "404": "no such object; check the address",
    "NoSuchKey": "no such object; check the address",
    "NoSuchBucket": "no such bucket",
    "412": "the object changed while it was read",
    "PreconditionFailed": "the object changed while it was read",
}


class S3Transport:
    """An object in S3 storage, read without a signature where there are no credentials."""

    most = 1

    def __init__(self, address: str, limits: RemoteLimits) -> None:
        bucket, _, key = address.partition("://")[2].partition("/")
        if not bucket or not key:
            raise TransportError("an object's address is s3://BUCKET/KEY", may_pass=False)
        self._client = _client(os.getpid(), limits)
        self._object = {"Bucket": bucket, "Key": key}
        head = self._call("head_object")
        self.size = int(head["ContentLength"])
        self._object["IfMatch"] = head["ETag"]

    def fetch(self, pieces: Sequence[Piece]) -> list[bytes]:
        """The bytes of each piece."""
        return [self._get(start, stop) for start, stop in pieces]

    def close(self) -> None:
        """Nothing: the connections serve all objects."""

    def _get(self, start: int, stop: int) -> bytes:
        answer = self._call("get_object", Range=f"bytes={start}-{stop - 1}")
        if answer["ContentLength"] != stop - start:
            raise TransportError("its server sends another part than was asked for", may_pass=False)
        try:
            with answer["Body"] as body:
                data: bytes = body.read()
        except _FAULTS as error:
            raise _fault(error) from error
        return data

    def _call(self, operation: str, **more: str) -> Any:
        try:
            return getattr(self._client, operation)(**self._object, **more)
        except _FAULTS as error:
            raise _fault(error) from error


@cache
def _client(_process: int, limits: RemoteLimits) -> Any:
    """The client of this process, which takes a while to be made; a forked one must not use its parent's."""
    session = boto3.session.Session()
    config = Config(
        connect_timeout=limits.open,
        read_timeout=limits.read,
        retries={"total_max_attempts": 1},
        max_pool_connections=AT_ONCE,
        signature_version=None if session.get_credentials() else UNSIGNED,
    )
    return session.client("s3", config=config)


def _fault(error: Exception) -> TransportError:
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return TransportError(
            _WORDS.get(code) or one_line(error), may_pass=status >= 500 or status == 429 or code == "RequestTimeout"
        )
    return TransportError(one_line(error), may_pass=not isinstance(error, ValueError))

"""What YAML cases cannot say: large files, with memory that does not grow."""

import io
import tracemalloc
from datetime import UTC, datetime

import pytest

from millrace.appkit import Binary, Call
from millrace.apps.csv.reading import parse
from millrace.errors import DataError


class Rows(io.RawIOBase):
    """A file of a million rows that nobody holds."""

    LINE = b'%07d,Eva,"a, b"\n'

    def __init__(self, count):
        self.count = count
        self.at = 0
        self.rest = b"id,name,text\n"

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=0):
        assert (offset, whence) == (0, 0)
        self.__init__(self.count)
        return 0

    def readinto(self, buffer):
        while len(self.rest) < len(buffer) and self.at < self.count:
            self.rest += b"".join(
                self.LINE % number for number in range(self.at, min(self.at + 1000, self.count))
            )
            self.at += 1000
        size = min(len(buffer), len(self.rest))
        buffer[:size] = self.rest[:size]
        self.rest = self.rest[size:]
        return size


class OneFile:
    """Files and everything else of a call, with one file in it."""

    def __init__(self, stream):
        self.files = self
        self.stream = stream

    def open(self, binary):
        return io.BufferedReader(self.stream)


def test_a_large_file_is_read_with_flat_memory():
    file = Binary(id="x", name="rows.csv", size_bytes=0)
    call = Call(
        parameters={"csv": file},
        context=OneFile(Rows(100_000)),
        now=datetime(2026, 1, 1, tzinfo=UTC),
    )
    tracemalloc.start()
    try:
        count, last = 0, None
        for bundle in parse(call):
            count, last = count + 1, bundle
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert count == 100_000
    assert last == {"id": "0099999", "name": "Eva", "text": "a, b"}
    assert peak < 1024 * 1024


def test_bytes_in_the_middle_that_are_not_utf_8_name_the_line():
    stream = io.BytesIO(b"a,b\n" + b"1,2\n" * 30_000 + b"1,\xe9\n")
    call = Call(
        parameters={"csv": Binary(id="x", name="rows.csv", size_bytes=0)},
        context=OneFile(stream),
        now=datetime(2026, 1, 1, tzinfo=UTC),
    )

    with pytest.raises(DataError, match=r"after line \d+ the file is not utf-8"):
        list(parse(call))

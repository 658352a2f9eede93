"""The rows of a file, one after the other: CSV in the encodings and with the separators that programs write, and Excel.

Nothing of a file is held in memory but the row at hand (of an Excel file its table of texts besides).
"""

from __future__ import annotations

import codecs
import csv
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, BinaryIO

from entrepot.catalog.files.contracts import ROWS_MAX, UnknownFormat

Row = tuple[int, list[str]]
UNPACKED_MAX = 1024 * 1024 * 1024
COLUMNS_MAX = 500
_PIECE = 64 * 1024
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"


@dataclass(slots=True)
class Table:
    """A table: its heads and, with their numbers (the head is row 1), its rows; blank ones included."""

    heads: list[str]
    rows: Iterator[Row]
    encoding: str = ""
    separator: str = ""


def kind_of(stream: BinaryIO) -> str:
    """Return what a file is by its beginning: `excel`, `json` or `csv`. Raises UnknownFormat."""
    stream.seek(0)
    head = stream.read(4096)
    stream.seek(0)
    if head.startswith(b"PK\x03\x04"):
        return "excel"
    if head.startswith(_OLD_EXCEL):
        raise UnknownFormat("This is an old Excel file (.xls). Save it as .xlsx or CSV and try again.")
    if head.startswith((b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"\x1f\x8b")):
        raise UnknownFormat("This is not a table. Choose a CSV, Excel or JSON file.")
    text = head.decode(encoding_of(stream), errors="ignore").lstrip("\ufeff \t\r\n")
    return "json" if text[:1] in ("[", "{") else "csv"


def encoding_of(stream: BinaryIO) -> str:
    """Return the encoding of a text file: by its mark, else UTF-8 if all of it is, else Windows-1252 (cp1252)."""
    stream.seek(0)
    head = stream.read(4096)
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for start, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(head) > 3 and head[start::2].count(0) > len(head) // 4 and head[1 - start :: 2].count(0) == 0:
            return name
    decoder = codecs.getincrementaldecoder("utf-8")()
    stream.seek(0)
    try:
        while piece := stream.read(_PIECE):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252"
    finally:
        stream.seek(0)
    return "utf-8"


class _Lent(io.RawIOBase):
    """A file that stays open when what reads it is done."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def open_text(stream: BinaryIO, encoding: str) -> io.TextIOWrapper:
    """Return a file as text; bytes that the encoding does not have become a mark."""
    stream.seek(0)
    lent = io.BufferedReader(_Lent(stream), _PIECE)
    return io.TextIOWrapper(lent, encoding=encoding, errors="replace", newline="")


def open_csv(stream: BinaryIO) -> Table:
    """Return a CSV file as a table. Raises UnknownFormat, also while its rows are read."""
    encoding = encoding_of(stream)
    text = open_text(stream, encoding)
    head = text.readline(_PIECE).lstrip("\ufeff")
    while head and not head.strip(" \r\n\x00"):
        head = text.readline(_PIECE)
    separator = max(_SEPARATORS, key=head.count)
    text.seek(0)

    def lines() -> Iterator[str]:
        # PostgreSQL's text cannot hold a NUL.
        for line in text:
            yield line.replace("\x00", "")

    reader = csv.reader(lines(), delimiter=separator, strict=False)
    try:
        heads = next((cells for cells in reader if any(c.strip() for c in cells)), [])
    except csv.Error as error:
        raise UnknownFormat(f"The file cannot be read as CSV: {error}.") from None
    heads = _heads(heads)
    return Table(heads, _csv_rows(reader), encoding, _SEPARATORS[separator])


def _csv_rows(reader: Iterator[list[str]]) -> Iterator[Row]:
    number = 1
    try:
        for number, cells in enumerate(reader, start=2):
            _within(number)
            yield number, cells
    except csv.Error as error:
        raise UnknownFormat(f"The file cannot be read as CSV after row {number}: {error}.") from None


def open_excel(stream: BinaryIO) -> Table:
    """Return the first sheet of an Excel file that has a head as a table. Raises UnknownFormat, also in its rows."""
    from openpyxl import load_workbook

    try:
        stream.seek(0)
        with zipfile.ZipFile(stream) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > UNPACKED_MAX:
                raise UnknownFormat("The Excel file is too large when unpacked: save it as CSV, or send it in parts.")
        stream.seek(0)
        book = load_workbook(stream, read_only=True, data_only=True, keep_links=False)
        for sheet in book.worksheets:
            # What a sheet says of its own size is often wrong.
            sheet.reset_dimensions()
            rows = sheet.iter_rows(values_only=True)
            for number, values in enumerate(rows, start=1):
                cells = [_text(value) for value in values[:COLUMNS_MAX]]
                if any(cells):
                    return Table(_heads(cells), _excel_rows(rows, number))
                if number > 100:
                    break
    except UnknownFormat:
        raise
    except Exception as error:  # A broken file makes openpyxl raise nearly anything.
        raise UnknownFormat(
            f"The Excel file cannot be read ({type(error).__name__}). Save it again, or as CSV."
        ) from None
    raise UnknownFormat("The Excel file has no row with heads.")


def _excel_rows(rows: Iterator[tuple[Any, ...]], head: int) -> Iterator[Row]:
    number = head
    while True:
        try:
            values = next(rows, None)
        except Exception as error:  # As above.
            raise UnknownFormat(
                f"The Excel file cannot be read after row {number} ({type(error).__name__}). Save it again, or as CSV."
            ) from None
        if values is None:
            return
        number += 1
        _within(number)
        yield number, [_text(value) for value in values[:COLUMNS_MAX]]


def _text(value: object) -> str:
    """Return what a person sees in a cell, more or less."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.replace("\x00", "").strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else repr(value)
    return value.isoformat() if isinstance(value, datetime | date) else str(value)


def _heads(cells: list[str]) -> list[str]:
    heads = [cell.removeprefix("\ufeff").strip()[:200] for cell in cells[:COLUMNS_MAX]]
    while heads and not heads[-1]:
        heads.pop()
    return heads


def _within(number: int) -> None:
    if number > ROWS_MAX + 1:
        raise UnknownFormat(f"The file has more than {ROWS_MAX:,} rows: import it in parts.")

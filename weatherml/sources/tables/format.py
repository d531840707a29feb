"""The layout of table files, apart from what reads them: pandas is slow to import."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt

from weatherml.config import Config


class TableFormat(Config):
    """How to read the files whose name fits `files`.

    Attributes:
        files: a glob on the file's name.
        separator: of text files: a character, or `whitespace`.
        skip_lines: of text files, lines above the one with the columns' names.
        columns: the columns' names where the file has none.
        place: the column that names the place; None takes the file's name up to its first `_` or `.`.
        date: the column of dates, or those of year, month and day; None where the file tells what does not change
            in a place, which is then a feature of every day.
        missing: numbers that stand for no value.
    """

    files: str = "*"
    separator: str = ","
    skip_lines: NonNegativeInt = 0
    columns: tuple[str, ...] | None = None
    place: str | None = "place"
    date: str | tuple[str, str, str] | None = "date"
    missing: tuple[float, ...] = Field(default=())

    @property
    def date_columns(self) -> tuple[str, ...]:
        """The columns that make the date, none to three."""
        if self.date is None:
            return ()
        return (self.date,) if isinstance(self.date, str) else self.date

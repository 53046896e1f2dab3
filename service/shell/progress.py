"""Shows how far a command is: a bar on a terminal, nothing where standard error is a file or a pipe."""

from types import TracebackType
from typing import Self

import click
from rich import progress as rich_progress

from service.shell.terminal import printer


class Progress:
    """Bars on standard error, one below the other; lines for people go above them."""

    def __init__(self) -> None:
        self._console = printer(err=True)
        self.on_terminal = self._console.is_terminal
        self._bars = rich_progress.Progress(
            rich_progress.TextColumn("{task.description}"),
            rich_progress.BarColumn(),
            rich_progress.TaskProgressColumn(),
            rich_progress.TextColumn("{task.fields[note]}"),
            rich_progress.TimeElapsedColumn(),
            console=self._console,
            disable=not self.on_terminal,
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def begin(self, what: str, *, total: int | None) -> "Bar":
        """A new bar; without a total it only shows that something goes on."""
        return Bar(self._bars, what, total)

    def say(self, line: str) -> None:
        """Print a line."""
        if self.on_terminal:
            self._console.print(line)
        else:
            click.echo(line, err=True)


class Bar:
    """One bar."""

    def __init__(self, bars: rich_progress.Progress, what: str, total: int | None) -> None:
        self._bars = bars
        self._task = bars.add_task(what, total=total, note="")

    def at(self, done: int, note: str) -> None:
        """So much is done; `note` says it in words."""
        self._bars.update(self._task, completed=done, note=note)

    def end(self) -> None:
        """All is done."""
        self._bars.update(self._task, total=1, completed=1)

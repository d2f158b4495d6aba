"""What the scenarios measured, for the terminal and for docs/testing.md."""

import re
from dataclasses import dataclass, field
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
TABLE = re.compile(r"(<!-- e2e -->\n).*?(<!-- /e2e -->)", re.DOTALL)


@dataclass
class Figures:
    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, scenario: str, clients: str, figures: str) -> None:
        """What was done, what clients saw of it, and the times it took."""
        self.rows.append((scenario, clients, figures))

    def table(self) -> str:
        head = ["| scenario | what clients saw | figures |", "| --- | --- | --- |"]
        return "\n".join(head + [f"| {' | '.join(row)} |" for row in self.rows])

    def record(self) -> None:
        """Write the table into docs/testing.md."""
        page = PAGE.read_text()
        PAGE.write_text(TABLE.sub(lambda match: f"{match[1]}{self.table()}\n{match[2]}", page))

"""What was tried, and how much of it went as it must."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

SHOWN_PROBLEMS = 20  # of one part; a broken part fails in all its trials alike
TAKEN = "it was taken as sound"


@dataclass
class Counts:
    """The tally of one part. `problems` holds one line for everything that was not as it must be."""

    part: str
    kills: bool = False  # whether a trial is a kill, from which the pipeline goes on, or a fault, which it reports
    tried: int = 0
    clear: int = 0  # without a traceback, and in plain lines where something was to be said
    unnoticed: int = 0  # damage that nothing could notice: what was read was sound, if not what was written
    compared: int = 0  # trials after which the outs and metrics were held against those of an undisturbed run
    identical: int = 0
    resumes: int = 0  # trainings that went on from a step
    mended: int = 0  # trials in which DVC left dvc.lock cut short, which was deleted as `nerfpipe check` says
    places: Counter[str] = field(default_factory=Counter)  # kills by the phase of the run in which they fell
    skipped: str = ""  # why, where the part could not be tried here
    problems: list[str] = field(default_factory=list)

    def trial(
        self,
        name: str,
        unclear: str = "",
        identical: bool | None = None,
        resumed: bool = False,
        mended: bool = False,
    ) -> None:
        """Count a trial and print it. `unclear`: what was said badly; `identical`: None where nothing was compared."""
        self.tried += 1
        self.clear += not unclear
        self.resumes += resumed
        self.mended += mended
        if identical is not None:
            self.compared += 1
            self.identical += identical
        faults = [unclear] if unclear else []
        faults += ["the bytes are others"] if identical is False else []
        self.problems += [f"{name}: {fault}" for fault in faults]
        verdict = "; ".join(faults) or "as it must be"
        notes = ", resumed" * resumed + ", dvc.lock deleted" * mended
        print(f"{self.part} {self.tried}: {name}{notes}: {verdict}", flush=True)

    def quiet(self, name: str, fault: str, taken: bool = False, must_refuse: bool = False) -> None:
        """Count one case of hundreds, and print only what went wrong.

        taken: whether it was taken as sound; `must_refuse`: it is known to be wrong, so that this is a fault.
        """
        if taken and must_refuse:
            fault = fault or TAKEN
        if fault:
            self.trial(name, fault)
            return
        self.tried += 1
        self.unnoticed += taken
        self.clear += not taken

    def missed(self, places: list[str]) -> None:
        """Every one of these phases must have seen a kill."""
        self.problems += [f"no kill fell into {place}" for place in places if not self.places[place]]

    @property
    def faults(self) -> list[str]:
        """All that was not as it must be: of single trials, and of the part as a whole."""
        whole = ["nothing was tried"] if not self.tried else []
        whole += ["no training went on from a step"] if self.kills and self.tried and not self.resumes else []
        return [] if self.skipped else self.problems + whole

    @property
    def sound(self) -> bool:
        return not self.faults


def table(all_counts: list[Counts]) -> str:
    """The counts as Markdown, the sums in words, where the kills fell, and every problem."""
    lines = [
        "| part | tried | reported clearly | sound, or not to be noticed | same bytes | resumes |",
        "|---|---|---|---|---|---|",
    ]
    for counts in all_counts:
        if counts.skipped:
            lines.append(f"| {counts.part} | skipped: {counts.skipped} | | | | |")
            continue
        same = f"{counts.identical} of {counts.compared}" if counts.compared else "-"
        clear = f"{counts.clear} of {counts.tried - counts.unnoticed}"
        cells = [counts.part, counts.tried, clear, counts.unnoticed or "-", same, counts.resumes or "-"]
        lines.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    kills = [counts for counts in all_counts if counts.kills]
    faults = [counts for counts in all_counts if not counts.kills and not counts.skipped]
    lines += [
        "",
        f"kills: {_sum(kills, 'tried')}, resumes: {_sum(kills, 'resumes')}, identical: {_sum(kills, 'identical')}",
    ]
    for counts in all_counts:
        if counts.places:
            fell = ", ".join(f"{place} {number}" for place, number in counts.places.items())
            lines.append(f"{counts.part} fell into: {fell}")
    lines.append(f"dvc.lock left cut short by DVC, and deleted as `nerfpipe check` says: {_sum(all_counts, 'mended')}")
    lines.append(
        f"faults tried: {_sum(faults, 'tried')}, reported clearly: {_sum(faults, 'clear')}, "
        f"sound or not to be noticed: {_sum(faults, 'unnoticed')}; "
        f"identical after them: {_sum(faults, 'identical')} of {_sum(faults, 'compared')}"
    )
    for counts in all_counts:
        lines += [f"NOT AS IT MUST BE: {counts.part}: {fault}" for fault in counts.faults[:SHOWN_PROBLEMS]]
    return "\n".join(lines)


def _sum(all_counts: list[Counts], name: str) -> int:
    return sum(getattr(counts, name) for counts in all_counts)

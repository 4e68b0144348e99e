"""What to do after steps whose loss or gradient is not finite: pass over, go back, stop."""

from dataclasses import dataclass
from typing import Literal

# So many steps are passed over, counted until CLEAN_STEPS others went well; one more goes back to
# the newest checkpoint, and after REWINDS of those the run stops. A lone poisoned batch costs
# nothing then, a damaged stretch of data a few minutes, and a rate that is too high ends the run.
SKIPS, REWINDS, CLEAN_STEPS = 3, 2, 100

Decision = Literal["pass over", "go back", "stop"]


@dataclass
class NonFiniteSteps:
    """Counts steps that were not taken; every rank counts the same."""

    skipped: int = 0
    rewinds: int = 0
    clean: int = 0

    def went_well(self) -> None:
        """Count a step that was taken."""
        self.clean += 1
        if self.clean >= CLEAN_STEPS:
            self.skipped = 0

    def decide(self) -> Decision:
        """What to do after a step that was not taken."""
        self.clean, self.skipped = 0, self.skipped + 1
        if self.skipped <= SKIPS:
            return "pass over"
        if self.rewinds == REWINDS:
            return "stop"
        self.rewinds, self.skipped = self.rewinds + 1, 0
        return "go back"

"""What a load run counted, and how its latencies are summed up."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """Counts and latencies of one load run; latencies are seconds, evenly drawn from the right answers."""

    seconds: float = 0.0
    calls: int = 0  # right answers
    errors: int = 0
    first_error: str = ""
    latencies_s: list[float] = field(default_factory=list)
    first_bytes_s: list[float] = field(default_factory=list)

    @property
    def calls_per_s(self) -> float:
        """Right answers a second."""
        return self.calls / self.seconds if self.seconds else 0.0

    def failed(self, what: str) -> None:
        """Count an error; the first one's text is kept."""
        self.errors += 1
        self.first_error = self.first_error or what


def quantile_us(values_s: list[float], share: float) -> float:
    """The value below which `share` of the values lie, in microseconds; nearest rank, 0 of nothing."""
    if not values_s:
        return 0.0
    ordered = sorted(values_s)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e6

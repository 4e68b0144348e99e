"""The learning rate as a pure function of progress, and the rule for other batch sizes."""

# Google's published run: 4,096 sequences of 512 tokens at 0.00176.
ALBERT_BATCH_SEQUENCES = 4096
ALBERT_RATE = 0.00176


def rate_factor(progress: float, warmup: float) -> float:
    """Share of the peak learning rate at a progress in [0, 1].

    Linear up to `warmup`, then the line from 1 at the start of the run to 0 at its end. As in
    Google's optimization.py the rate falls by the warm-up's share where the two lines meet.
    """
    if progress < warmup:
        return progress / warmup
    return max(0.0, 1.0 - progress)


def scaled_rate(rate: float, *, sequences: float) -> float:
    """A learning rate of the published batch for another one: rate * sqrt(sequences / 4096).

    The rule ALBERT's maintainers give for LAMB; 0.00176 at a batch of 512 diverges. They scale the
    number of steps by 4096 / sequences and keep the share of warm-up.
    """
    return rate * (sequences / ALBERT_BATCH_SEQUENCES) ** 0.5


def rate_advice(rate: float, *, sequences: float) -> str | None:
    """One line on LAMB's learning rate for a batch size, None where the published one holds."""
    scaled = scaled_rate(ALBERT_RATE, sequences=sequences)
    if abs(rate / scaled - 1) < 0.25:
        return None
    return (
        f"lr={rate:g} with {sequences:.0f} sequences a step: ALBERT's rule for LAMB is "
        f"{ALBERT_RATE:g} x sqrt({sequences:.0f} / {ALBERT_BATCH_SEQUENCES}) = {scaled:.3g}"
    )

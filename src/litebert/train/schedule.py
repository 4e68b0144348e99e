"""The learning rate as a pure function of progress, and the rule for other batch sizes."""

# Google's published run: 4,096 sequences of 512 tokens at 0.00176.
ALBERT_BATCH_SEQUENCES = 4096


def rate_factor(progress: float, warmup: float) -> float:
    """Share of the peak learning rate at a progress in [0, 1].

    Linear up to `warmup`, then the line from 1 at the start of the run to 0 at its end. As in
    Google's optimization.py the rate falls by the warm-up's share where the two lines meet.
    """
    if progress < warmup:
        return progress / warmup
    return max(0.0, 1.0 - progress)


def scaled_rate(rate: float, *, sequences: int, reference: int = ALBERT_BATCH_SEQUENCES) -> float:
    """The learning rate for another batch size: rate * sqrt(sequences / reference).

    The rule ALBERT's maintainers give for LAMB; 0.00176 at a batch of 512 diverges.
    """
    return rate * (sequences / reference) ** 0.5

"""The one exception for everything a user can mend."""


class InputError(ValueError):
    """Bad input: the message is one line saying what is wrong, where, and what to do.

    The command line prints the message and exits with code 2; every other exception is a
    fault of ours and exits with code 1.
    """


class DivergenceError(InputError):
    """A training run whose loss or gradient was not finite, again and again."""

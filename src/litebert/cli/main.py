"""The command `litebert`: finds the verb, runs it, and turns errors into one line and a code.

Exit code 0 for success, 2 for wrong usage or bad input (one line that says what, where and what to
do), 1 for a fault of ours, 128 + signal number when a signal stopped a run.
"""

import difflib
import errno
import importlib
import os
import sys
import time

# Seconds before another rank than the first says what is wrong: the launcher looks every fifth.
OTHER_RANKS_WAIT = 3

VERBS = {
    "quickstart": "pretrain a small ALBERT on English found on this machine, and show it",
    "describe": "parameters, FLOPs and memory of presets and model directories",
    "tokenizer": "train a vocabulary (litebert tokenizer train FILES)",
    "prepare": "turn text into shards of token ids; verify shards",
    "pretrain": "train a model on shards by a recipe",
    "evaluate": "held-out masked-LM and sentence results of a model",
    "finetune": "teach a model a task: GLUE, SQuAD, RACE, tags, or your own file",
    "predict": "answers of a fine-tuned model, one JSON line a row",
    "quantize": "what int8 does to a model: its error by depth, its metrics before and after",
    "exits": "let a fine-tuned model answer as soon as it is sure, at a promised risk",
    "embed": "vectors of texts, as a NumPy file or JSON lines",
    "study": "a comparison of the paper on your own text: sharing, embeddings, depth, ...",
    "fill-mask": "the likeliest words for [MASK] in a text",
    "convert": "read a model in any known layout, write the Hugging Face layout",
}

# Faults of the machine or of a path, not ours, and what to do about them.
_OF_THE_MACHINE = {
    errno.ENOSPC: "the disk is full: make room",
    errno.EDQUOT: "your share of the disk is full: make room",
    errno.EROFS: "the disk cannot be written to: name another place",
    errno.EACCES: "may not be written or read: check its permissions",
    errno.EPERM: "may not be changed: check its permissions",
    errno.ENOTDIR: "a part of the path is a file, not a folder: check the path",
    errno.EISDIR: "is a folder, not a file: check the path",
    errno.EEXIST: "is there already, and is no folder: name another place",
    errno.ENAMETOOLONG: "the name is too long: name another place",
    errno.EMFILE: "too many open files: raise the limit, ulimit -n",
}

USAGE = "usage: litebert VERB ...\n\n{verbs}\n\n`litebert VERB --help` explains every field."


def main(argv: list[str] | None = None) -> int:
    """Run one verb; returns the process's exit code."""
    argv = sys.argv[1:] if argv is None else argv
    usage = USAGE.format(verbs="\n".join(f"  {verb:<11} {what}" for verb, what in VERBS.items()))
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage)
        return 0 if argv else 2
    verb = argv[0]
    if verb == "--version":
        from importlib.metadata import version

        print(f"litebert {version('litebert')}")
        return 0
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known verbs: {', '.join(VERBS)}"
        print(f"litebert: unknown verb {verb!r}; {hint}", file=sys.stderr)
        return 2
    from litebert.errors import InputError

    try:
        module = importlib.import_module(f"litebert.cli.{verb.replace('-', '_')}")
        code = module.main(argv[1:])
        # what a full disk does not take is said here, not at the end of the process
        sys.stdout.flush()
        return code
    except InputError as error:
        if os.environ.get("LOCAL_RANK", "0") != "0":
            # what all ranks meet the first one says, and the launcher then ends the others
            time.sleep(OTHER_RANKS_WAIT)
        print(f"litebert {verb}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of a pipe has seen enough
        sys.stderr.close()
        return 0
    except OSError as error:
        if error.errno not in _OF_THE_MACHINE:
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"litebert {verb}: {where}{_OF_THE_MACHINE[error.errno]}", file=sys.stderr)
        try:
            sys.stdout.flush()
        except OSError:
            # what it does not take would be tried again at the end of the process, and said then
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2
    except KeyboardInterrupt:
        print(f"litebert {verb}: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())

"""The events of a pretraining run as a person follows them."""

from litebert.cli.status_bar import StatusBar


class RunProgress(StatusBar):
    """Shows the events of a pretraining run on standard error; a context manager."""

    def watch(self, event: str, values: dict) -> None:
        """Show one event of a run (`Pretraining(watch=...)`)."""
        if event == "step":
            self.show(values["share"], _state(values))
        elif event == "evaluation":
            self.say(f"held out at step {values['step']}: {evaluation_line(values)}")
        elif event in ("start", "resume"):
            self.say(
                f"{event} at step {values['step']}: {values['model']}, "
                f"{values['parameters']:,} parameters, {values['precision']} on "
                f"{values['device']}, {values['threads']} threads; "
                f"{values['flops_per_token'] / 1e6:,.0f} MFLOP a token, products reach "
                f"{values['ceiling'] / 1e9:,.0f} GFLOP/s"
            )
        elif event == "warning":
            self.say(f"warning: {values['message']}")


def evaluation_line(values: dict) -> str:
    """A held-out evaluation in one line."""
    line = f"masked-LM loss {values['mlm_loss']:.3f}"
    if values["unigram_loss"] is not None:
        below = values["unigram_loss"] - values["mlm_loss"]
        side = "below" if below >= 0 else "above"
        line += f" ({abs(below):.3f} nats {side} the unigram baseline {values['unigram_loss']:.3f})"
    line += f", accuracy {values['mlm_accuracy']:.3f}"
    if values["sentence_accuracy"] is not None:
        low, high = values["sentence_interval"]
        line += f", sentence accuracy {values['sentence_accuracy']:.3f} [{low:.3f}, {high:.3f}]"
    return line


def _state(values: dict) -> str:
    text = f"loss {values['mlm_loss']:.3f} acc {values['mlm_accuracy']:.3f}"
    if "sentence_accuracy" in values:
        text += f" order {values['sentence_accuracy']:.3f}"
    speed = f"{values['tokens_per_second']:,.0f} tokens/s, {values['utilisation']:.0%} of products"
    return f"{text} {speed}"

"""How often the model's own words are good enough to send: composed answers among questions in new wordings.

    .venv/bin/python -m tests.benchmarks.composing [--adapter DIR]

Every question is answered by the demo FAQ, in none of its wordings. Sending curated text is switched off, so an
answer is either composed and supported by its passages, or the curated text that takes its place.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from assistant import server
from assistant.config import load
from assistant.dialogue.draft import Phase
from assistant.dialogue.turn import Question

QUESTIONS = (
    "is it ok to give the lamp back after twenty days",
    "my shelf came with a scratch, what happens now",
    "the money for my chair is still not on my card after a week",
    "how many weeks can I keep stuff before giving it back",
    "how much is the shipping fee for a small parcel",
    "hi there, the driver never showed up with my parcel",
    "my lamp broke after two years, do I get a new one",
    "can i pay in 3 parts",
    "can I get it sent to Vienna and for how much",
    "when can I call you",
    "what happens if two codes are used at once",
    "the code from the birthday mail gives an error",
    "I typed the wrong street when ordering",
    "which size do I need for feet of 25 cm",
    "how do I wash the wool blanket",
    "do I have to screw the table together myself",
    "can the bulb be swapped",
    "how do i get a copy of everything you know about me",
    "stop sending me these mails",
    "I was billed two times for one order",
)


class Silent:
    """Nobody watches."""

    def enter(self, phase: Phase) -> None:
        """Show nothing."""

    def release(self, text: str) -> None:
        """Show nothing."""


async def run(adapter: Path | None) -> None:
    """Ask everything and print what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load(Path(__file__).parents[2] / "deploy" / "assistant.toml")
        changes = {
            "data_dir": Path(folder),
            "dialogue": settings.dialogue.model_copy(update={"verbatim": 1.0}),
            "generation": settings.generation.model_copy(update={"adapter": adapter}),
        }
        settings = settings.model_copy(update=changes)
        server.fetch_models(settings)
        composed = 0
        async with server.running_responder(settings, print) as responder:
            for text in QUESTIONS:
                reply = await responder.respond(Question(text, "en"), Silent())
                composed += reply.decision == "composed"
                print(f"{reply.decision:9}  {text}  ->  {reply.text[:110]!r}")
    print(f"\n{composed} of {len(QUESTIONS)} composed, {'with ' + str(adapter) if adapter else 'without adapter'}")


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapter", type=Path)
    asyncio.run(run(parser.parse_args().adapter))


if __name__ == "__main__":
    main()

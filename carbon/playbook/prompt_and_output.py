"""8: a small language model, trained in place, that answers with fewer words, or is asked with
fewer. By request it saves; by token it looks unchanged or worse, which is why the unit matters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch

from carbon.playbook.comparison import Comparison, Done, Work
from carbon.playbook.device import Device

#: What the model learns; made here, and of no meaning.
_TEXT: Final = "the grid is clean at noon and the job can wait for the sun. " * 40
_LONG, _SHORT = 96, 48


class CharacterModel(torch.nn.Module):  # type: ignore[misc]  # torch is not read by mypy here
    """Gated recurrent units over single characters."""

    def __init__(self, size: int, width: int = 192) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(size, width)
        self.cells = torch.nn.GRU(width, width, batch_first=True)
        self.out = torch.nn.Linear(width, size)

    def forward(self, tokens: Any, state: Any = None) -> tuple[Any, Any]:
        hidden, state = self.cells(self.embed(tokens), state)
        return self.out(hidden), state


def comparisons(seed: int, quick: bool, device: Device) -> Sequence[Comparison]:
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    letters = sorted(set(_TEXT))
    tokens = torch.tensor([letters.index(letter) for letter in _TEXT], device=device.name)
    model = CharacterModel(len(letters)).to(device.name)
    _train(model, tokens, 10 if quick else 80)
    made = (
        ("output", "answers of 48 characters for 96", (24, _LONG), (24, _SHORT)),
        ("prompt", "prompts of 48 characters for 192", (192, _SHORT), (48, _SHORT)),
    )
    return [
        Comparison(
            title=title,
            parameters={"shortened": shortened},
            baseline=_answering(model, tokens, *before),
            treatment=_answering(model, tokens, *after),
            before={"prompt": before[0], "output": before[1]},
            after={"prompt": after[0], "output": after[1]},
            units=["request", "token"],
            device=device,
        )
        for shortened, title, before, after in made
    ]


def _train(model: Any, tokens: Any, steps: int) -> None:
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(steps):
        rows = torch.randint(0, len(tokens) - 65, (16,)).tolist()
        batch = torch.stack([tokens[at : at + 65] for at in rows])
        logits, _ = model(batch[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), batch[:, 1:])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def _answering(model: Any, tokens: Any, prompt: int, output: int) -> Work:
    """Tokens are those of the answer, as most services count them."""
    question = tokens[:prompt].unsqueeze(0)

    def work(rounds: int) -> Done:
        with torch.inference_mode():
            for _ in range(rounds):
                logits, state = model(question)
                for _ in range(output):
                    logits, state = model(logits[:, -1:].argmax(2), state)
        return Done({"request": rounds, "token": rounds * output})

    return work

"""Masked autoencoder of tubes, with rotary positions (arXiv:2111.06377, 2104.09864): how they follow from each other.

What the talk on the XLZD search names as future work, the time domain in PMT channels, by transformers (on which,
beside trees and perceptrons, it cites Lopez-Fogliani et al., arXiv:2406.10372). As in He et al. (arXiv:2111.06377) an
encoder sees the tokens that are not masked, and a decoder is asked for the others, of which it knows the place alone.
Here a token is a tube, or all tubes of a pulse (the representation `channels`). Attention turns its queries and keys
by where their tubes are (RoFormer, Su et al., arXiv:2104.09864), along x and along y: what it sees is the way from one
tube to the other. The decoder looks at the encoder's tokens only, so that what is asked for does not tell what else is
(as in Fu et al., arXiv:2401.14391).

Four masks: all of S2, whose area and spread are to follow from S1; all of S1, by S2; one half of the tubes of each
pulse, then the other half, by all that is left. In training the halves are drawn at random. For a score they are every
other tube by brightness: it depends on its event alone, and each token is asked for once. The drift time is given.

`log_density` is composite (Besag 1975; Varin, Reid & Firth 2011): ln p of each pulse, of the logarithms of area and
spread, of S1 of the mean time too, plus for each pulse the mean over its tubes of ln p of a tube: of the logarithm of
its area, and of its mean time from the pulse's and its spread, in units of the pulse's, through asinh. A mean, as in
He et al.: the noise of a hundred tubes would drown what the two pulses say of each other.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.nn import functional as F

from zoo import _fields as fields
from zoo._choices import KINDS
from zoo._layers import bounded, dense, mlp
from zoo._losses import gaussian_nll

KIND = "density"
TRAINS_ON = ("ER",)
NUMBERS, PULSES = 5, 2  # of a slot: x and y in cm, area in PE, mean time and spread in ns; S1 and S2
CONTENTS, PLACED = 3, 4  # of a token: what is masked; x, y, whether of S1, whether a pulse
LONGEST_CM, SHORTEST_CM = 800.0, 25.0  # wavelengths of the rotation: both arrays side by side, three tubes
LOG_VARIANCE = (-8.0, 4.0)
MIDDLE = (((5.0, 3.7, 3.7), (1.0, 0.0, 0.0)), ((9.5, 0.0, 7.0), (3.0, 0.0, 0.9)))  # of contents: pulse, tube; S1, S2


@dataclass(frozen=True)
class Config(fields.Falling):
    """Small: a scan scores a hundred thousand events on a core."""

    width: int = fields.whole(32, at_least=1)  # of a head: a multiple of 4
    heads: int = fields.whole(2, at_least=1)
    layers: int = fields.whole(1, at_least=1)  # of the encoder; the decoder has one
    epochs: int = fields.whole(10, at_least=1)
    batch_size: int = fields.whole(20, at_least=1)
    learning_rate: float = fields.real(0.005, above=0)
    validation_fraction: float = fields.real(0.3, above=0, below=1)
    preprocess: str = fields.choice("raw", KINDS)


def check(config: Config, n_features: int) -> None:
    """Raise ValueError, one sentence, unless the features are slots of two pulses in their own units."""
    if n_features % (2 * PULSES * NUMBERS) != PULSES * NUMBERS:
        raise ValueError(f"channel_transformer: {n_features} values are not two pulses, and an even number of tubes of "
                         f"each, by {NUMBERS} numbers, as `channels` has them")  # fmt: skip
    if config.width % (4 * config.heads):
        raise ValueError(f"channel_transformer: width = {config.width} is no multiple of 4 heads = {4 * config.heads}")
    if config.preprocess != "raw":
        raise ValueError(f"channel_transformer: preprocess = {config.preprocess!r} is not accepted; it must be 'raw', "
                         "for it reads cm, PE and ns")  # fmt: skip


class Block(nn.Module):
    """Attention of tokens to a context, and a perceptron of each token, both added to it."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query, self.pair = nn.Linear(width, width, bias=False), nn.Linear(width, 2 * width, bias=False)
        self.out, self.own = dense(width, width), mlp((width, 2 * width, width), "leaky_relu")
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, tokens, turns, context, context_turns, there):
        """tokens (n, t, width); context (n, c, width), or None: the tokens; there (n, c): which of it is."""
        normed = self.before(tokens)
        query = rotated(self._split(self.query(normed)), turns)
        key, value = map(self._split, self.pair(normed if context is None else context).chunk(2, dim=2))
        seen = F.scaled_dot_product_attention(query, rotated(key, context_turns), value, there[:, None, None, :])
        tokens = tokens + self.out(seen.transpose(1, 2).flatten(2))
        return tokens + self.own(self.between(tokens))

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


def rotated(x: torch.Tensor, turns: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """x (n, heads, t, d) with each pair of its d numbers turned by its angle; cosine and sine (n, 1, t, d / 2)."""
    (a, b), (cosine, sine) = x.chunk(2, dim=3), turns
    return torch.cat([a * cosine - b * sine, a * sine + b * cosine], dim=3)


class Channels(nn.Module):
    """Encoder of what is seen, and a decoder that is asked for the contents of what is masked."""

    def __init__(self, config: Config, n_features: int):
        super().__init__()
        width, n_waves = config.width, config.width // config.heads // 4
        self.tubes = n_features // (PULSES * NUMBERS) - 1
        self.embed, self.ask = dense(PLACED + CONTENTS, width), mlp((PLACED, width, width), "leaky_relu")
        self.drift = mlp((1, width, width), "leaky_relu")
        self.encoder = nn.ModuleList(Block(width, config.heads) for _ in range(config.layers))
        self.norm, self.decoder = nn.LayerNorm(width), Block(width, config.heads)
        self.head = dense(width, 2 * CONTENTS)
        lengths_cm = torch.logspace(math.log10(SHORTEST_CM), math.log10(LONGEST_CM), n_waves)
        self.register_buffer("waves", 2 * torch.pi / lengths_cm, persistent=False)

    def forward(self, x: torch.Tensor, shuffle: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """-ln p of each pulse, and its mean over the tubes of each, (n, 2) both; shuffle (n, 2, tubes) orders these."""
        if not len(x):
            return x.new_zeros(0, PULSES), x.new_zeros(0, PULSES)
        place, content, lit, drift = _tokens(x.unflatten(1, (PULSES, 1 + self.tubes, NUMBERS)))
        first = torch.arange(PULSES, device=x.device) * (1 + self.tubes)  # the tokens that are pulses
        order = shuffle.argsort(dim=2, stable=True) + 1 + first[:, None]
        halves = [order[:, :, half::2].flatten(1) for half in (0, 1)]
        pulses = first.expand(len(x), PULSES)
        whole = [one.expand(len(x), -1) for one in torch.arange(place.shape[1], device=x.device).chunk(PULSES)]
        nll = place.new_zeros(place.shape[:2])
        for seen, asked in (
            (whole[0], pulses[:, 1:]), (whole[1], pulses[:, :1]),
            (torch.cat([pulses, halves[1]], 1), halves[0]), (torch.cat([pulses, halves[0]], 1), halves[1]),
        ):  # fmt: skip
            nll = nll.scatter(1, asked, self._asked(place, content, lit, drift, seen, asked))
        nll = (nll * lit).unflatten(1, (PULSES, -1))
        n_lit = lit.unflatten(1, (PULSES, -1))[:, :, 1:].sum(dim=2).clamp(min=1)
        return nll[:, :, 0], nll[:, :, 1:].sum(dim=2) / n_lit

    def _asked(self, place, content, lit, drift, seen, asked):
        """-ln p of the contents of tokens `asked` (n, a), by what is in those that are `seen` (n, s)."""
        known = _of(torch.cat([place, content], dim=2), seen)
        start = self.drift(drift)[:, None]  # a token at the corner that every event has
        tokens, at = torch.cat([start, self.embed(known)], dim=1), F.pad(known[:, :, :2], (0, 0, 1, 0))
        there, turns = F.pad(lit.gather(1, seen), (1, 0), value=True), self._turns(at)
        for block in self.encoder:
            tokens = block(tokens, turns, None, turns, there)
        wanted = _of(place, asked)
        said = self.decoder(self.ask(wanted), self._turns(wanted[:, :, :2]), self.norm(tokens), turns, there)
        mean, log_variance = self.head(said).chunk(2, dim=2)
        nll = gaussian_nll(_of(content, asked), mean, bounded(log_variance, *LOG_VARIANCE))
        nll[:, :, 1] = nll[:, :, 1] * (1 - wanted[:, :, 3] * (1 - wanted[:, :, 2]))  # of the S2, its time is given
        return nll.sum(dim=2)

    def _turns(self, at: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosine and sine (n, 1, t, d / 2) of places in metres: half of the waves along x, half along y."""
        angle = (100 * at[:, None, :, :, None] * self.waves).flatten(3)
        return angle.cos(), angle.sin()


def _of(tokens: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    return tokens.gather(1, chosen[:, :, None].expand(-1, -1, tokens.shape[2]))


def _tokens(slots: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Place (n, t, 4), contents (n, t, 3), whether there is any (n, t), drift time in ms (n, 1), of slots (n, 2, s, 5).

    The pulses' own tokens are always there; a drift time stands where an S2 has its mean time.
    """
    area, time, spread = slots[..., 2:].clamp(min=0).unbind(dim=3)
    own_time, own_spread = time[:, :, :1], spread[:, :, :1] + 1
    late, wide = (time - own_time) / own_spread, spread / own_spread
    content = torch.stack([area.log1p(), late.asinh(), wide.asinh()], dim=3)
    middle = slots.new_tensor(MIDDLE)
    own = torch.stack([area[:, :, 0], time[:, :, 0], spread[:, :, 0]], dim=2).log1p()
    drift = time[:, 1, :1] / 1e6
    own[:, 1, 1] = 0
    content = torch.cat([own[:, :, None] - middle[:, :1], content[:, :, 1:] - middle[:, 1:]], dim=2)
    of_s1, is_pulse = torch.zeros_like(area), torch.zeros_like(area)
    of_s1[:, 0], is_pulse[:, :, 0] = 1, 1
    place = torch.stack([slots[..., 0] / 100, slots[..., 1] / 100, of_s1, is_pulse], dim=3)
    return place.flatten(1, 2), content.flatten(1, 2), ((area > 0) | (is_pulse > 0)).flatten(1), drift


def build(config: Config, n_features: int) -> Channels:
    """The network for slots of two pulses; raises ValueError for what is none."""
    check(replace(config, preprocess="raw"), n_features)  # scaling is refused in studies, which read `check`
    return Channels(config, n_features)


def optimizer(parameters, config: Config) -> torch.optim.Optimizer:
    """Adam, in its fused form."""
    return torch.optim.Adam(parameters, lr=config.learning_rate, fused=True)


def loss(module: Channels, x: torch.Tensor, label: torch.Tensor, generator: torch.Generator, config: Config):
    """The composite -ln p, averaged over the batch, of halves drawn anew; parts: `pulses` and `tubes`."""
    pulses, tubes = (each.sum(dim=1).mean() for each in module(x, _drawn(module, x, generator)))
    return pulses + tubes, {"pulses": pulses.detach(), "tubes": tubes.detach()}


def _drawn(module: Channels, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.randn((len(x), PULSES, module.tubes), generator=generator)


def terms(module: Channels, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """`log_density` per event, composite, of every other tube by brightness."""
    pulses, tubes = module(x, x.new_zeros(len(x), PULSES, module.tubes))
    return {"log_density": -(pulses.double() + tubes.double()).sum(dim=1)}

"""The arithmetic of all-MiniLM-L6-v2 in NumPy: token ids of several texts in, unit vectors out.

The network is BERT with post-layer normalisation (Devlin et al. 2018) and mean pooling. Texts are packed one after the
other without padding; only attention and pooling look at where a text begins and ends.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

DIMENSIONS = 384

_LAYERS = 6
_HEADS = 12
_HEAD_DIMENSIONS = DIMENSIONS // _HEADS
_EPSILON = 1e-12

# A matrix is kept as blocks of 64 columns: multiplying a handful of rows by so small a block takes the path of OpenBLAS
# that copies nothing, which makes the products of a query 2.7 times faster (AVX-512 kernels), and costs a full
# slice of documents 1 to 5 percent.
_BLOCK = 64

# Rows of the feed-forward part, and scores of attention, that are worked on at once: both stay in a 1 MB L2 cache.
_GELU_ROWS = 64
_SCORES = 65_536

# gelu(x) = x/2 * (1 + erf(x/sqrt(2))), with erf(x/sqrt(2)) close to tanh(x * (c0 + c1*x^2)): NumPy has no erf.
# Fitted here for the least greatest error of gelu, 2.7e-4; vectors keep a cosine above 0.99999 with the exact ones.
_GELU_C0 = 0.8001525669788517
_GELU_C1 = 0.03470294670340228
_GELU_SCALE = math.sqrt(_GELU_C1)

Floats = NDArray[np.float32]
Ids = Sequence[int]


class _Linear:
    """x @ weight + bias, for x of shape (rows, inputs)."""

    def __init__(self, weight: Floats, bias: Floats) -> None:
        """Take a weight of shape (outputs, inputs), as PyTorch keeps it."""
        outputs, inputs = weight.shape
        blocks = weight.reshape(outputs // _BLOCK, _BLOCK, inputs).transpose(0, 2, 1)
        self._blocks = np.ascontiguousarray(blocks, dtype=np.float32)
        self._bias = np.ascontiguousarray(bias, dtype=np.float32)

    def into(self, out: Floats, x: Floats) -> None:
        """Write the product into `out` of shape (rows, outputs), which must be contiguous."""
        columns = out.reshape(len(x), -1, _BLOCK).transpose(1, 0, 2)
        np.matmul(x, self._blocks, out=columns)
        np.add(out, self._bias, out=out)


class _Norm:
    """Layer normalisation over the last axis."""

    def __init__(self, weight: Floats, bias: Floats) -> None:
        self._weight = weight * np.float32(math.sqrt(DIMENSIONS))
        self._bias = bias
        self._mean_of = np.full(DIMENSIONS, 1 / DIMENSIONS, dtype=np.float32)

    def inplace(self, x: Floats) -> None:
        """Normalise every row of x, shape (rows, 384)."""
        np.subtract(x, np.matmul(x, self._mean_of)[:, None], out=x)
        squares = np.einsum("ij,ij->i", x, x)
        np.multiply(x, (1 / np.sqrt(squares + np.float32(_EPSILON * DIMENSIONS)))[:, None], out=x)
        np.multiply(x, self._weight, out=x)
        np.add(x, self._bias, out=x)


class _Layer:
    """The weights of one transformer layer."""

    def __init__(self, read_tensor: Callable[[str], Floats], prefix: str) -> None:
        def read(name: str) -> Floats:
            return read_tensor(f"{prefix}.{name}")

        parts = [f"attention.self.{part}" for part in ("query", "key", "value")]
        weight = np.concatenate([read(f"{part}.weight") for part in parts])
        bias = np.concatenate([read(f"{part}.bias") for part in parts])
        # The scale of the scores and the constants of gelu go into the weights, exactly as far as the scores depend on
        # the query alone and the second matrix of the feed-forward part follows gelu directly.
        scale = np.float32(1 / math.sqrt(_HEAD_DIMENSIONS))
        weight[:DIMENSIONS] *= scale
        bias[:DIMENSIONS] *= scale
        self.qkv = _Linear(weight, bias)
        self.attended = _Linear(read("attention.output.dense.weight"), read("attention.output.dense.bias"))
        self.norm = _Norm(read("attention.output.LayerNorm.weight"), read("attention.output.LayerNorm.bias"))
        up = np.float32(_GELU_SCALE)
        self.wide = _Linear(read("intermediate.dense.weight") * up, read("intermediate.dense.bias") * up)
        down = np.float32(0.5 / _GELU_SCALE)
        self.narrow = _Linear(read("output.dense.weight") * down, read("output.dense.bias"))
        self.last_norm = _Norm(read("output.LayerNorm.weight"), read("output.LayerNorm.bias"))


class Workspace:
    """The buffers of one forward pass; a thread needs its own. About 5 MB for 256 tokens."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self.x = np.empty((tokens, DIMENSIONS), np.float32)
        self.qkv = np.empty((tokens, 3 * DIMENSIONS), np.float32)
        self.attended = np.empty((tokens, DIMENSIONS), np.float32)
        self.branch = np.empty((tokens, DIMENSIONS), np.float32)
        self.wide = np.empty((tokens, 4 * DIMENSIONS), np.float32)
        self.gelu = np.empty((min(tokens, _GELU_ROWS), 4 * DIMENSIONS), np.float32)
        self.scores = np.empty(max(_SCORES, tokens * tokens), np.float32)


class MiniLM:
    """all-MiniLM-L6-v2. Reading is safe from many threads, each with its own Workspace."""

    def __init__(self, path: Path) -> None:
        """Load the weights (no checksum is taken here); about 90 MB stay resident."""

        def read(name: str) -> Floats:
            # Opened for each tensor: an open file is mapped as a whole, and every page that was read would stay
            # resident beside its copy, 90 MB more at the peak.
            with safe_open(path, framework="numpy") as file:
                tensor: Floats = file.get_tensor(name)
            return tensor

        self._words = read("embeddings.word_embeddings.weight")
        # Every token of a single text is of type 0.
        self._places = (
            read("embeddings.position_embeddings.weight") + read("embeddings.token_type_embeddings.weight")[0]
        )
        self._norm = _Norm(read("embeddings.LayerNorm.weight"), read("embeddings.LayerNorm.bias"))
        self._layers = [_Layer(read, f"encoder.layer.{i}") for i in range(_LAYERS)]

    @staticmethod
    def workspace(tokens: int) -> Workspace:
        """Buffers for passes of at most `tokens`."""
        return Workspace(tokens)

    def embed(self, texts: Sequence[Ids], work: Workspace) -> Floats:
        """Embed texts given as token ids with the special ones, together at most `work.tokens`.

        Returns unit vectors of shape (texts, 384).
        """
        lengths = [len(ids) for ids in texts]
        ends = np.cumsum(lengths).tolist()
        spans = [(end - length, end) for end, length in zip(ends, lengths, strict=True)]
        x = work.x[: ends[-1]]
        np.take(self._words, np.concatenate([np.asarray(ids, np.intp) for ids in texts]), axis=0, out=x, mode="clip")
        for begin, end in spans:
            x[begin:end] += self._places[: end - begin]
        self._norm.inplace(x)
        for layer in self._layers:
            _advance(layer, x, spans, work)
        # The mean and the sum of a text's tokens have the same direction, and only the direction is kept.
        sums = np.add.reduceat(x, [begin for begin, _ in spans], axis=0)
        unit: Floats = sums / np.sqrt(np.einsum("ij,ij->i", sums, sums))[:, None]
        return unit


def _advance(layer: _Layer, x: Floats, spans: Sequence[tuple[int, int]], work: Workspace) -> None:
    """Take x, shape (tokens, 384), through one layer in place."""
    tokens = len(x)
    qkv, attended, branch, wide = work.qkv[:tokens], work.attended[:tokens], work.branch[:tokens], work.wide[:tokens]
    layer.qkv.into(qkv, x)
    for begin, end in spans:
        _attend(attended[begin:end], qkv[begin:end], work.scores)
    layer.attended.into(branch, attended)
    np.add(x, branch, out=x)
    layer.norm.inplace(x)
    layer.wide.into(wide, x)
    for begin in range(0, tokens, _GELU_ROWS):
        rows = wide[begin : begin + _GELU_ROWS]
        _gelu_inplace(rows, work.gelu[: len(rows)])
    layer.narrow.into(branch, wide)
    np.add(x, branch, out=x)
    layer.last_norm.inplace(x)


def _attend(out: Floats, qkv: Floats, scores_buffer: Floats) -> None:
    """Write the attention of one text, shape (tokens, 384), from its queries, keys and values."""
    tokens = len(out)
    heads = qkv.reshape(tokens, 3, _HEADS, _HEAD_DIMENSIONS).transpose(1, 2, 0, 3)
    by_head = out.reshape(tokens, _HEADS, _HEAD_DIMENSIONS).transpose(1, 0, 2)
    step = max(1, min(_HEADS, _SCORES // (tokens * tokens)))
    for first in range(0, _HEADS, step):
        query, key, value = heads[:, first : first + step]
        scores = scores_buffer[: len(query) * tokens * tokens].reshape(len(query), tokens, tokens)
        np.matmul(query, key.transpose(0, 2, 1), out=scores)
        np.subtract(scores, scores.max(axis=2, keepdims=True), out=scores)
        np.exp(scores, out=scores)
        weighted = by_head[first : first + step]
        np.matmul(scores, value, out=weighted)
        # Dividing the 32 sums of a token is cheaper than dividing its scores.
        np.divide(weighted, scores.sum(axis=2, keepdims=True), out=weighted)


def _gelu_inplace(x: Floats, buffer: Floats) -> None:
    """Turn s*x into 2*s*gelu(x), where s is _GELU_SCALE; the layer's matrices hold the two factors."""
    # With y = s*x the inner polynomial x * (c0 + c1*x^2) is y/s * (c0 + y^2).
    np.multiply(x, x, out=buffer)
    np.add(buffer, np.float32(_GELU_C0), out=buffer)
    np.multiply(buffer, x, out=buffer)
    np.multiply(buffer, np.float32(1 / _GELU_SCALE), out=buffer)
    np.tanh(buffer, out=buffer)
    np.add(buffer, np.float32(1), out=buffer)
    np.multiply(x, buffer, out=x)

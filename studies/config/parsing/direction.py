"""The better direction of a metric by its name, and the metric that a given direction belongs to.

A direction belongs to the metric that it was given with. A command that names another metric must give a direction too,
or the worst trial of a study could win silently.

A name is split into words at every character that is no letter or digit, and inside camelCase. Words for the kind of
averaging are dropped at its end. Then the last word decides: `val_loss_epoch` is a loss, `loss_scale` is none. A word
that negates a metric or makes it a difference (`neg`, `1-`, `delta`) leaves the name without a direction.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from studies.config.settings import TRAINING_METRICS, Direction
from studies.config.space import select

OBJECTIVES = ("objective", "objective.second")
USUAL: Mapping[str, Direction] = {"val/accuracy": "maximize"}  # the default metric of conf/config.yaml


def _vocabulary(text: str) -> frozenset[str]:
    return frozenset(text.split())


LESS_IS_BETTER = _vocabulary("""
    loss losses logloss error errors err cost regret mse rmse mae mape smape wape mase nmse nrmse rmsle msle
    perplexity ppl nll bce xent crossentropy brier ece crps deviance divergence kl kld jsd hinge bpb bpc bpd wer cer
    eer fid kid lpips fpr fnr ade fde hausdorff hd
""")
MORE_IS_BETTER = _vocabulary("""
    accuracy accuracies acc auc auroc auprc aucpr rocauc prauc ap map mrr ndcg dcg f1 f2 fscore fbeta precision recall
    sensitivity specificity tpr tnr ppv npv iou miou giou jaccard dice bleu sacrebleu rouge rougel chrf meteor cider
    psnr ssim msssim snr sdr sisdr pesq stoi r2 kappa mcc pearson spearman kendall correlation corr likelihood reward
    rewards return returns winrate
""")
PHRASES: tuple[tuple[tuple[str, ...], Direction], ...] = (
    (("neg", "log", "likelihood"), "minimize"),
    (("negative", "log", "likelihood"), "minimize"),
    (("cross", "entropy"), "minimize"),
    (("bits", "per", "byte"), "minimize"),
    (("bits", "per", "character"), "minimize"),
    (("explained", "variance"), "maximize"),
)
NEVER_NEGATIVE = _vocabulary("""
    accuracy accuracies acc auc auroc auprc map mrr ndcg f1 precision recall sensitivity specificity iou miou dice
    error err mse rmse mae mape perplexity ppl wer cer fid
""")
TURNING = _vocabulary("""
    neg negative minus inverse inverted inv reciprocal no non not without delta diff difference change gain drop
    decrease increase reduction improvement
""")
DETAIL = _vocabulary("""
    epoch step batch train training val valid validation test eval evaluation dev holdout dataloader idx fold macro
    micro weighted samples mean avg average median sum total best last final max min ema smoothed score scores rate
    value metric coefficient coef index percent pct db at k top binary multiclass multilabel
""")
WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]+[0-9]*|[0-9]+")
TURNED = re.compile(r"^\s*-|\b1\s*-")  # -loss, 1-accuracy


def usual_direction(metric: str) -> Direction | None:
    """Return the better direction of a metric with this name, or None if the name does not say."""
    if metric in TRAINING_METRICS:
        return "minimize"
    words = _words(metric)
    while words and _is_detail(words[-1]):
        words.pop()
    for phrase, direction in PHRASES:
        if tuple(words[-len(phrase) :]) == phrase:
            return None if TURNING.intersection(words[: -len(phrase)]) else direction
    if not words or TURNED.search(metric) or TURNING.intersection(words[:-1]):
        return None
    return _of_word(words[-1])


def is_never_negative(metric: str) -> bool:
    """Return whether a metric with this name has no values below 0."""
    words = [word for word in _words(metric) if not _is_detail(word)]
    return metric in TRAINING_METRICS or (usual_direction(metric) is not None and words[-1] in NEVER_NEGATIVE)


def with_usual_direction(config: DictConfig) -> DictConfig:
    """Return `config`, with the direction of the default metric if it has that metric and no direction.

    The config itself is changed.
    """
    objective = config.get("objective")
    if isinstance(objective, DictConfig) and objective.get("direction") is None:
        usual = USUAL.get(str(select(config, "objective.metric")))
        if usual is not None:
            objective["direction"] = usual
    return config


def forget_directions(config: DictConfig, before: DictConfig, given: Collection[str]) -> None:
    """Remove a direction from `config` if the `given` keys changed its metric but not the direction.

    `before` is the config without them.
    """
    for objective in OBJECTIVES:
        metric, direction = f"{objective}.metric", f"{objective}.direction"
        if metric not in given or direction in given or OmegaConf.select(config, direction) is None:
            continue
        if _at(config, metric) != _at(before, metric):
            OmegaConf.update(config, direction, None)


def flat_keys(values: Any, prefix: str) -> Iterator[str]:
    """Yield the dotted keys of the plain `values` below `prefix`, with those of mappings."""
    yield prefix
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from flat_keys(value, f"{prefix}.{key}" if prefix else str(key))


def _at(config: DictConfig, path: str) -> Any:
    node = OmegaConf.select(config, path.rpartition(".")[0])
    return OmegaConf.select(config, path) if isinstance(node, DictConfig) else None


def _words(metric: str) -> list[str]:
    """Return the lower-case words of a name. A known word is not split at its capitals."""
    parts = re.findall(r"[A-Za-z0-9]+", metric)
    found = [[part] if _of_word(part.lower()) else WORD.findall(part) for part in parts]
    return [word.lower() for words in found for word in words]


def _of_word(word: str) -> Direction | None:
    for known in (word, word.rstrip("0123456789")):  # rouge1, bleu4, map50
        if known in LESS_IS_BETTER:
            return "minimize"
        if known in MORE_IS_BETTER:
            return "maximize"
    return None


def _is_detail(word: str) -> bool:
    return word.rstrip("0123456789") in DETAIL | {""}

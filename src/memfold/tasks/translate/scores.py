"""BLEU and chrF by sacrebleu, and some translations to look at."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from memfold.words import said

__all__ = ["sample_table", "score_signatures", "translation_scores"]

SAMPLES = 10


def _metrics(references: Sequence[Sequence[str]], characters: bool) -> dict[str, BLEU | CHRF]:
    """The metrics, by name, for translations of sentences that have these references."""
    most = max(len(row) for row in references)
    streams = [[row[i] if i < len(row) else None for row in references] for i in range(most)]
    tokenize = "char" if characters else "13a"
    return {
        "bleu": BLEU(tokenize=tokenize, references=streams),  # type: ignore[arg-type]
        "bleu_lower_tok": BLEU(tokenize=tokenize, lowercase=True, references=streams),  # type: ignore[arg-type]
        "chrf": CHRF(references=streams),  # type: ignore[arg-type]
    }


def translation_scores(
    translations: Sequence[str], references: Sequence[Sequence[str]], characters: bool
) -> dict[str, float]:
    """Scores of translations, from 0 to 100.

    Args:
        translations: a sentence each.
        references: of each sentence one or more.
        characters: whether BLEU counts characters instead of words.

    Returns:
        ``bleu``: cased and detokenised, sacrebleu's standard (Post 2018); ``bleu_lower_tok``: both sides lower-cased
        before sacrebleu's tokenizer 13a cuts them into words, which is the nearest to the lower-cased, tokenised texts
        that are published for Multi30k; ``chrf`` (Popović 2015).
    """
    metrics = _metrics(references, characters)
    return {name: metric.corpus_score(list(translations), None).score for name, metric in metrics.items()}


def score_signatures(references: Sequence[Sequence[str]], characters: bool) -> dict[str, str]:
    """Sacrebleu's signature of every score, which says how it was computed."""
    return {name: str(metric.get_signature()) for name, metric in _metrics(references, characters).items()}


def sample_table(sentences: Sequence[str], translations: Sequence[str], references: Sequence[Sequence[str]]) -> Table:
    """Ten translations, evenly spread over the sentences, with the first reference of each."""
    table = Table("sentence", "translation", "reference", title=said("samples"), title_justify="left", show_lines=True)
    for i in range(0, len(sentences), -(-len(sentences) // SAMPLES)):
        table.add_row(Text(sentences[i]), Text(translations[i]), Text(references[i][0]))
    return table

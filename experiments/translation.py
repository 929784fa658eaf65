"""The translation table of the paper: Adam, SAM and ASAM, German to English.

    python -m experiments.translation numbers-asam --run-dir R
    python -m experiments.prepare multi30k --data-dir D --manual-dir M
    python -m experiments.translation multi30k-asam --data-dir D --seed 0 1
    python -m experiments.prepare iwslt14_de_en --data-dir D --manual-dir M
    python -m experiments.translation iwslt14-asam --data-dir D --seed 0 1 2

numbers-* need no data, and minutes on a CPU; multi30k-* an hour; iwslt14-* are the
paper's, for a GPU. At the end of a run its translations, BLEU (with sacreBLEU's
signature, and on lower-case tokens as the paper has it) and exact matches are in its
folder. The same command again resumes. PRESET --help lists every number.
"""

from experiments.command import main
from experiments.training.translation_config import TranslationConfig
from experiments.training.translation_task import translation_task
from experiments.translation_presets import TRANSLATION

if __name__ == "__main__":
    main(TRANSLATION, TranslationConfig, translation_task, __doc__ or "")

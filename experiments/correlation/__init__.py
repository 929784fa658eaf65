"""Does sharpness tell how well a net generalizes? The paper's correlation study.

A model is trained for each of 3 mini-batch sizes, initial learning rates, weight decays
and dropout rates, until its loss on all training examples falls below a common target.
Its generalization gap is then correlated with sharpness and adaptive sharpness, p = 2
and infinity: Kendall's tau over all models, and the granulated coefficients of Jiang et
al. (2019), for which one hyperparameter alone varies.

  python -m experiments.correlation digits           # minutes on 2 CPU cores
  python -m experiments.correlation digits --quick   # seconds, too small to learn from
  python -m experiments.correlation cifar10 --data-dir D   # wants a GPU; not run
  python -m experiments.correlation digits --help

The gap is the error on held-out examples minus that on the training set. On the digits
a share of the training labels is wrong and the held-out ones are right; held-out labels
with the same share of wrong ones would give an error that rises with this one, and
hence nearly the same order of the models.

Expect tau of 0.2 for sharpness and 0.4 for adaptive sharpness with p = 2, most of it
due to dropout: experiments/results/correlation.md.
"""

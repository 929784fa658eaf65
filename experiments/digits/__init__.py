"""The project's main job in small: SGD, SAM and ASAM under label noise, in minutes.

A multilayer perceptron learns scikit-learn's digits, with 40 % of the training labels
wrong and with none. Every rho is tried on a validation split; what is reported is the
accuracy on clean test labels.

  python -m experiments.digits           # 1 to 3 minutes on 2 CPU cores
  python -m experiments.digits --quick   # seconds: the same, too short to learn from
  python -m experiments.digits --help

Expect 94 % from SAM and ASAM with wrong labels, 70 % from SGD, which comes to fit them,
and 98 to 99 % from all without: experiments/results/digits.md.
"""

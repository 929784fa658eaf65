"""The project's main job in small: SGD, SAM and ASAM under label noise, in minutes.

A multilayer perceptron learns scikit-learn's digits, with 40 % of the training labels
wrong and with none. Every rho is tried on a validation split; what is reported is the
accuracy on clean test labels.

  python -m experiments.digits           # about 2 minutes on 2 CPU cores
  python -m experiments.digits --quick   # seconds: the same, too short to learn from
  python -m experiments.digits --help
"""

"""What sharpness-aware training costs and what it buys: accuracy against cost.

SGD, SAM, ASAM and what makes ASAM cheaper, under 40 % label noise, on two data sets:

  python -m experiments.frontier digits               # 10 minutes on 2 CPU cores
  python -m experiments.frontier cifar10 --data-dir D # an hour
  python -m experiments.frontier times                # 4 minutes, on a quiet machine

Each writes frontier-<its name>.json into --out, and the table and figure of all three,
frontier.md and frontier.png. The same command again goes on where it was stopped.
"""

"""SAM and ASAM on losses of two weights: two pictures of what the balls do.

    python -m experiments.toy --out experiments/results

Trajectories: the paper's toy landscape, where SAM's ball, the same for every weight,
pushes a small weight into the region without gradient, and ASAM's cannot. Balls: at two
points that compute the same product w1 w2, the loss that SAM's ball reaches differs,
and the one that ASAM's ball reaches does not. A few seconds on a CPU.
"""

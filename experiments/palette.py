"""Colours of the methods: Okabe and Ito's, which colour-blind readers tell apart."""

SGD = "#222222"
SGD_LONGER = "#8c8c8c"
SAM = "#0072B2"
ASAM = "#D55E00"
ASAM_BY_HAND = "#E69F00"

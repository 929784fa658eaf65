"""Adaptive Sharpness-Aware Minimization (ASAM) and SAM for JAX and Optax."""

"""Adaptive Sharpness-Aware Minimization (ASAM) and SAM for JAX and Optax."""

from ._gradient import value_and_grad as value_and_grad
from ._normalization import elementwise as elementwise
from ._normalization import filterwise as filterwise
from ._normalization import identity as identity
from ._perturbation import perturbation as perturbation
from ._selection import is_weight as is_weight
from ._transform import AscentState as AscentState
from ._transform import asam as asam
from ._transform import sam as sam

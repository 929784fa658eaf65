import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxprs_in_params

from tests.experiments.nets.translation import (
    KEY,
    NET,
    PARAMS,
    REAL,
    SOURCE,
    TARGET,
    decode,
    logits,
)


def test_bfloat16_in_every_forward_product_and_float32_logits():
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), PARAMS)

    def loss_fn(params):
        return NET.apply(params, {}, (SOURCE, TARGET), True, KEY)[0].sum()

    chex.assert_trees_all_equal_dtypes(
        jax.eval_shape(jax.value_and_grad(loss_fn), params), (jnp.zeros(()), params)
    )
    forward = jax.make_jaxpr(loss_fn)(params)
    operands = [
        [operand.aval.dtype for operand in eqn.invars]
        for eqn in equations(forward.jaxpr)
        if eqn.primitive.name == "dot_general"
    ]
    # Three attentions of six products, two feed-forward nets of two; the logits.
    assert operands == [[jnp.bfloat16] * 2] * (3 * 6 + 2 * 2 + 1)
    memory = jax.eval_shape(NET.encode, params, SOURCE)
    assert all(leaf.dtype == jnp.bfloat16 for leaf in jax.tree.leaves(memory.layers))
    assert jax.eval_shape(decode, params, SOURCE, TARGET).dtype == jnp.float32


def equations(jaxpr):
    """Yields the equations of a program and of the programs inside it."""
    for eqn in jaxpr.eqns:
        yield eqn
        for inner in jaxprs_in_params(eqn.params):
            yield from equations(inner)


def test_bfloat16_stays_close_to_float32():
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), PARAMS)
    difference = logits(params) - logits()
    assert 0 < np.abs(difference[REAL]).max() < 0.1

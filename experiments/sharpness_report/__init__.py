"""How sharp the minimum of a trained run is, as a page of figures."""

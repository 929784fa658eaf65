"""The paper's table, as recalled: no second source was found for any figure of it."""

PAPER = {
    "sharpness, p = 2": (0.174, 0.667, 0.563, -0.297, 0.102, 0.259),
    "adaptive, p = 2": (0.636, 0.696, 0.577, 0.534, -0.092, 0.429),
    "sharpness, p = ∞": (0.257, 0.777, 0.797, -0.469, 0.161, 0.316),
    "adaptive, p = ∞": (0.616, 0.817, 0.806, 0.656, 0.225, 0.626),
}
"""Measure to tau; psi of batch size, learning rate, weight decay, dropout; Psi."""

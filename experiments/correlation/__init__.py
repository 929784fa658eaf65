"""Does sharpness tell how well a net generalizes? The paper's correlation study."""

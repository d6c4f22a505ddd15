"""Published measurements simulated, and the errors beside a null model."""

//! What the four readers get, as snapshots with fixed times.

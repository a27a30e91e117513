//! What the runner promises, with fake runners.

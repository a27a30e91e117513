//! What a change touches, in whole repos.

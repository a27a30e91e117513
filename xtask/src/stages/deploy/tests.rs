//! Plans of whole releases as text.

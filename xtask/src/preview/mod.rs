//! What a preview is called and how it is known again: shared by `preview`, which makes it, and `cleanup`, which takes
//! it down. Pure: names in, names out.

pub mod marks;
pub mod names;
pub mod resources;

pub use marks::Kind;
pub use names::Key;
pub use resources::Resources;

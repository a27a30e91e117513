//! Which steps need not run again because they passed before on the same inputs. Knows what a result depends on and
//! where results are kept; whether a step may be cached at all is for its stage to say. Only a step that passed is
//! ever put, and only when [`Tree::what_changed`] finds nothing.

mod files;
mod material;
mod store;
#[cfg(test)]
pub(crate) mod tests;
mod tree;

use std::path::{Path, PathBuf};

pub use self::material::{key, outputs_digest};
pub use self::store::{Entry, Store};
pub use self::tree::Tree;

/// Everything outside the step itself that its result depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Files and folders, relative to the root or absolute; "" is everything. Ignored files never count, so name no
    /// build products here.
    pub paths: Vec<PathBuf>,
    /// Declared variables and their values, none when not set. Only hashes of them are kept.
    pub env: Vec<(String, Option<String>)>,
    /// The programs that take part: name, and version or other identity.
    pub tools: Vec<(String, String)>,
    /// Files and folders the step makes, relative to the root. They must be as the passed run left them for a hit.
    pub outputs: Vec<PathBuf>,
}

impl Store {
    /// The result of a run that passed with this key, provided that everything it made is still there, unchanged.
    pub fn hit(&self, key: &str, root: &Path, inputs: &Inputs) -> Option<Entry> {
        let entry = self.get(key)?;
        if inputs.outputs.is_empty() {
            return Some(entry);
        }
        // An output that cannot be read is as good as none: the step makes it again.
        let found = outputs_digest(root, &inputs.outputs).ok()??;
        (entry.outputs.as_ref() == Some(&found)).then_some(entry)
    }
}

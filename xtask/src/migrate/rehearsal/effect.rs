//! What a statement does to data, or what keeps it from doing anything: the words of the verdict. Values only.

use super::allow::Rule;
use super::cascade::Count;
use super::schema::OnDelete;

/// A place in a file, and the beginning of the statement there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) line: u32,
    pub(crate) head: String,
}

/// A statement that fails as soon as there are such rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) at: At,
    /// Completes "… fails: ".
    pub(crate) why: String,
    /// Of these rows, in words behind the number.
    pub(crate) count: Count,
    /// Who has to be made whole again before the file ends: the parent, and the child.
    pub(super) until: Option<(String, String)>,
}

/// What one statement does to data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) at: At,
    /// What has to be allowed.
    pub(crate) rules: Vec<Rule>,
    pub(crate) loss: Loss,
    /// It is about data of the live database, and not of the pending files alone.
    pub(crate) live: bool,
}

/// What is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Rows: the table's own (`None` when they are kept, and then where), and those of other tables.
    Rows {
        own: Count,
        kept_in: Option<String>,
        children: Vec<Child>,
    },
    /// The values of a column.
    Column {
        table: String,
        column: String,
        count: Count,
    },
    /// The values of columns in all rows.
    Overwritten {
        table: String,
        columns: Vec<String>,
        count: Count,
    },
    /// Whatever does not fit into the table made anew.
    Narrowed {
        table: String,
        why: String,
        count: Count,
    },
    /// Rows written without the column.
    NotNull { table: String, column: String },
}

/// What happens in another table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Child {
    pub(crate) table: String,
    pub(crate) on_delete: OnDelete,
    pub(crate) columns: Vec<String>,
    pub(crate) count: Count,
}

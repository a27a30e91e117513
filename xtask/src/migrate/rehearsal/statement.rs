//! What kind of statement a text is, and which tables it moves rows between. It reads far enough for that; what a
//! statement does to the schema is not guessed here, the copy shows it. Pure.

use std::collections::BTreeSet;

use super::tokens::{Placed, Token, tokens};

/// A statement by what it can do to rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `INSERT`, `REPLACE`.
    Insert {
        into: String,
        /// A row that is in the way is deleted.
        replaces: bool,
        /// The rows that a SELECT gives, `None` for those of the statement's own.
        from: Option<Source>,
    },
    /// `CREATE TABLE … AS SELECT`.
    CreateAs { table: String, from: Source },
    /// `DELETE`.
    Delete { table: String, all: bool },
    /// `UPDATE`.
    Update {
        table: String,
        all: bool,
        /// The columns it sets.
        columns: Vec<String>,
        /// Every name on the right-hand sides.
        reads: BTreeSet<String>,
    },
    /// `DROP TABLE`.
    DropTable { table: String },
    /// `DROP INDEX`, `DROP TRIGGER`, `DROP VIEW`: what and which.
    DropOther { what: String },
    /// `PRAGMA name = value`.
    Pragma { name: String, value: String },
    /// Everything else.
    Other,
}

/// The SELECT that rows come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// The tables it reads.
    pub(crate) tables: Vec<String>,
    /// What in it can leave rows out.
    pub(crate) leaves_out: Option<&'static str>,
}

/// A statement that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Its beginning, for a person: `DROP TABLE users`.
    pub(crate) head: String,
    /// Whether rows of other tables decide what it does.
    pub(crate) selects: bool,
}

/// How much of a statement its head shows.
const HEAD_TOKENS_MAX: usize = 7;

/// Reads a statement.
pub(crate) fn parse(sql: &str) -> Parsed {
    let mut all = tokens(sql);
    all.retain(|placed| !matches!(placed.token, Token::Comment(_)));
    let start = if all.first().is_some_and(|first| first.is("WITH")) {
        let verbs = ["INSERT", "REPLACE", "DELETE", "UPDATE"];
        let verb = |placed: &Placed| placed.depth == 0 && verbs.iter().any(|one| placed.is(one));
        all.iter().position(verb).unwrap_or(0)
    } else {
        0
    };
    let own = &all[start..];
    let kind = kind(own);
    Parsed {
        head: head(&kind, own),
        selects: all.iter().any(|placed| placed.is("SELECT")),
        kind,
    }
}

fn kind(own: &[Placed]) -> Kind {
    let Some(first) = own.first() else {
        return Kind::Other;
    };
    let is = |at: usize, word: &str| own.get(at).is_some_and(|placed| placed.is(word));
    if first.is("INSERT") || first.is("REPLACE") {
        return insert(own);
    }
    if first.is("DELETE") {
        return table_at(own, 2).map_or(Kind::Other, |(table, _)| Kind::Delete {
            table,
            all: takes_all(own),
        });
    }
    if first.is("UPDATE") {
        return update(own);
    }
    if first.is("PRAGMA") {
        let word = |at: usize| own.get(at).and_then(Placed::name).unwrap_or_default();
        let value = own
            .get(3)
            .map_or(String::new(), |placed| match placed.name() {
                Some(name) => name.to_ascii_lowercase(),
                None => "1".to_owned(),
            });
        return Kind::Pragma {
            name: word(1).to_ascii_lowercase(),
            value,
        };
    }
    if first.is("DROP") {
        let at = if is(2, "IF") { 4 } else { 2 };
        let Some((name, _)) = table_at(own, at) else {
            return Kind::Other;
        };
        if is(1, "TABLE") {
            return Kind::DropTable { table: name };
        }
        let what = own[1].name().unwrap_or_default().to_ascii_lowercase();
        return Kind::DropOther {
            what: format!("{what} {name}"),
        };
    }
    if first.is("CREATE") && is(1, "TABLE") {
        let at = if is(2, "IF") { 5 } else { 2 };
        if let Some((table, next)) = table_at(own, at)
            && is(next, "AS")
        {
            let from = source(&own[next..]);
            return from.map_or(Kind::Other, |from| Kind::CreateAs { table, from });
        }
    }
    Kind::Other
}

/// A name at a place, `main.` in front of it left out, and where the text goes on.
fn table_at(own: &[Placed], at: usize) -> Option<(String, usize)> {
    let first = own.get(at)?.name()?;
    match (own.get(at + 1), own.get(at + 2)) {
        (Some(dot), Some(second)) if dot.is_mark('.') => Some((second.name()?.to_owned(), at + 3)),
        _ => Some((first.to_owned(), at + 1)),
    }
}

fn insert(own: &[Placed]) -> Kind {
    let top = |word: &str| own.iter().position(|one| one.depth == 0 && one.is(word));
    let Some((into, next)) = top("INTO").and_then(|at| table_at(own, at + 1)) else {
        return Kind::Other;
    };
    let way = own.get(2).filter(|_| own[1].is("OR"));
    let mut from = source(&own[next..]);
    if let (Some(from), true) = (&mut from, way.is_some_and(|way| way.is("IGNORE"))) {
        from.leaves_out.get_or_insert("OR IGNORE");
    }
    Kind::Insert {
        into,
        replaces: own[0].is("REPLACE") || way.is_some_and(|way| way.is("REPLACE")),
        from,
    }
}

fn update(own: &[Placed]) -> Kind {
    let at = if own.get(1).is_some_and(|one| one.is("OR")) {
        3
    } else {
        1
    };
    let Some((table, next)) = table_at(own, at) else {
        return Kind::Other;
    };
    let end = |one: &Placed| {
        one.depth == 0
            && ["FROM", "WHERE", "RETURNING"]
                .iter()
                .any(|word| one.is(word))
    };
    let rest = own[next..].iter().skip_while(|one| !one.is("SET")).skip(1);
    let sets: Vec<&Placed> = rest.take_while(|one| !end(one)).collect();
    let mut columns = Vec::new();
    let mut reads = BTreeSet::new();
    let mut left = true;
    for one in sets {
        match one.name() {
            Some(name) if left => columns.push(name.to_owned()),
            Some(name) => drop(reads.insert(name.to_ascii_lowercase())),
            None if one.depth == 0 && one.is_mark('=') => left = false,
            None if one.depth == 0 && one.is_mark(',') => left = true,
            None => {}
        }
    }
    Kind::Update {
        table,
        all: takes_all(own),
        columns,
        reads,
    }
}

/// True when no WHERE chooses among the rows.
fn takes_all(own: &[Placed]) -> bool {
    let at = own.iter().position(|one| one.depth == 0 && one.is("WHERE"));
    at.is_none_or(|at| is_always(&own[at..]))
}

/// `WHERE true` and `WHERE 1`, which SQLite's own manual asks for in front of an upsert.
fn is_always(from_where: &[Placed]) -> bool {
    let always = from_where
        .get(1)
        .is_some_and(|one| one.is("TRUE") || matches!(one.token, Token::Value(_)));
    let ends = from_where
        .get(2)
        .is_none_or(|one| one.is("ON") || one.is("RETURNING"));
    always && ends
}

/// What the SELECT in a statement reads, if it has one that is not inside parentheses.
fn source(own: &[Placed]) -> Option<Source> {
    let select = own
        .iter()
        .position(|one| one.depth == 0 && one.is("SELECT"))?;
    let own = &own[select..];
    let mut found = Source {
        tables: Vec::new(),
        leaves_out: None,
    };
    // Names of tables stand behind FROM, JOIN and the commas between them; subqueries among them count, too.
    let mut in_from = false;
    for (at, one) in own.iter().enumerate() {
        let top = one.depth == 0;
        if one.is("FROM") {
            in_from |= top;
        } else if top
            && ["WHERE", "GROUP", "ORDER", "LIMIT", "UNION"]
                .iter()
                .any(|word| one.is(word))
        {
            in_from = false;
        }
        if let Some(why) = leaves_out(own, at, in_from) {
            found.leaves_out.get_or_insert(why);
        }
        let names_table = one.is("FROM") || one.is("JOIN") || (in_from && top && one.is_mark(','));
        if names_table && let Some((table, _)) = table_at(own, at + 1) {
            found.tables.push(table);
        }
    }
    Some(found)
}

/// What at this place can leave rows out.
fn leaves_out(own: &[Placed], at: usize, in_from: bool) -> Option<&'static str> {
    let one = &own[at];
    let top = one.depth == 0;
    // In front of FROM a subquery only computes a value; inside it, it is where the rows come from.
    if !top && !in_from {
        return None;
    }
    let before = |words: &[&str]| at > 0 && words.iter().any(|word| own[at - 1].is(word));
    if one.is("WHERE") {
        return (!is_always(&own[at..])).then_some("WHERE");
    }
    if one.is("JOIN") {
        return (!before(&["LEFT", "OUTER", "FULL"])).then_some("JOIN");
    }
    if top && in_from && one.is_mark(',') {
        return Some("a join");
    }
    let words = [
        "LIMIT",
        "DISTINCT",
        "GROUP",
        "HAVING",
        "INTERSECT",
        "EXCEPT",
    ];
    let found = words.into_iter().find(|word| one.is(word))?;
    // `count(DISTINCT x)` leaves no row out by itself.
    (found != "DISTINCT" || before(&["SELECT"])).then_some(found)
}

fn head(kind: &Kind, own: &[Placed]) -> String {
    match kind {
        Kind::DropTable { table } => format!("DROP TABLE {table}"),
        Kind::Delete { table, .. } => format!("DELETE FROM {table}"),
        Kind::Update { table, .. } => format!("UPDATE {table}"),
        Kind::Insert { into, replaces, .. } if *replaces => format!("REPLACE INTO {into}"),
        Kind::Insert { into, .. } => format!("INSERT INTO {into}"),
        Kind::CreateAs { table, .. } => format!("CREATE TABLE {table}"),
        _ => {
            let words = own.iter().map_while(|one| match &one.token {
                Token::Word(word) | Token::Name(word) => Some(word.as_str()),
                _ => None,
            });
            words.take(HEAD_TOKENS_MAX).collect::<Vec<_>>().join(" ")
        }
    }
}

//! `--token-scopes`: what to tick in Cloudflare's dashboard, and no more.

use serde_json::{Value, json};

use super::permissions;
use crate::context::Ctx;
use crate::report::Table;
use crate::target::account_of;
use crate::ui::Format;
use crate::workspace::Workspace;

/// `--token-scopes`: what to tick in the dashboard.
pub fn print(ctx: &Ctx) -> anyhow::Result<()> {
    let workspace = Workspace::load(&ctx.root)?;
    let needed = permissions::needed(&workspace);
    let account = account_of(&workspace);
    let form = permissions::form(&workspace.pipeline.project.name, &needed);
    let resource = |scope: &str| match (scope, &account) {
        ("Zone", _) => permissions::hosts(&workspace)
            .into_iter()
            .collect::<Vec<_>>()
            .join(", "),
        (_, Some(account)) => account.clone(),
        (_, None) => "the account it ships to".to_owned(),
    };
    if ctx.ui.format() == Format::Json {
        let rows: Vec<Value> = needed
            .iter()
            .map(|permission| {
                let scope = permission.right.scope();
                json!({"scope": scope, "permission": permission.right.name(), "resources": resource(scope),
                       "required": permission.required, "for": permission.reasons})
            })
            .collect();
        let document = json!({"stage": super::STAGE, "outcome": "success", "exit_code": 0, "release": null, "steps": [],
                              "permissions": rows, "form": form});
        ctx.ui.data(&document.to_string());
        return Ok(());
    }
    let mut table = Table::new("", &["scope", "permission", "for"]);
    for permission in &needed {
        let optional = if permission.required {
            ""
        } else {
            "(optional) "
        };
        let reasons = format!("{optional}{}", permission.reasons.join("; "));
        table.row([
            permission.right.scope().to_owned(),
            permission.right.name().to_owned(),
            reasons,
        ]);
    }
    // It is there to be read whole, or to be piped on.
    ctx.ui.data(&table.text(usize::MAX));
    ctx.ui
        .data(&format!("\nlimit it to account {}", resource("Account")));
    if !permissions::hosts(&workspace).is_empty() {
        ctx.ui
            .data(&format!("and to the zones of {}", resource("Zone")));
    }
    ctx.ui.data(&format!("\nthe form, filled in: {form}"));
    Ok(())
}

//! The flags of `doctor`.

use clap::Args;

use crate::stages::doctor;

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Make the repairs that can do no harm (install what the lock file says, ignore .xtask, fetch), then look again
    #[arg(long, conflicts_with = "token_scopes")]
    fix: bool,
    /// Ask neither Cloudflare nor GitHub
    #[arg(long, conflicts_with = "token_scopes")]
    offline: bool,
    /// Print which permissions a token for this pipeline needs, and no more, and stop
    #[arg(long)]
    token_scopes: bool,
}

impl From<DoctorArgs> for doctor::Options {
    fn from(args: DoctorArgs) -> doctor::Options {
        doctor::Options {
            fix: args.fix,
            offline: args.offline,
            token_scopes: args.token_scopes,
        }
    }
}

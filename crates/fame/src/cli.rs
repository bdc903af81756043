//! What can be typed after `fame`: the tree of commands.

use crate::{args::GlobalArgs, commands, dev::DevArgs, exit::Exit};
use clap::{Parser, Subcommand};
use domain::zone;
use std::sync::LazyLock;

/// Publish Business Central apps and roll them out to customers' environments.
///
/// `fame` speaks the App Management API: with the original service, and with the compatible one that it can run
/// itself (`fame serve`, or `fame dev` to try things out).
///
/// At a desk, sign in once with fame login, which makes a profile: a service, and how to sign in there. In a pipeline, set
/// FAME_URL, and let the job prove itself (docs/SIGNING-IN.md), or set FAME_TOKEN to an access token, or --tenant and
/// --client-id with the secret in FAME_CLIENT_SECRET or --client-secret-file. fame whoami says what is used, and why.
#[derive(Parser, Debug)]
#[command(name = "fame", version, long_version = long_version(), after_help = Exit::table(), max_term_width = 110, propagate_version = false)]
pub(crate) struct Cli {
    /// What holds for all commands.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The version, and what else decides how times are understood.
fn long_version() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let (tzdb, cldr) = (zone::tzdb(), zone::CLDR);
        format!(
            "{}\ntime zones: tzdb {tzdb}, CLDR {cldr}",
            env!("CARGO_PKG_VERSION")
        )
    });
    &TEXT
}

/// The commands.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Sign in, and keep that under a name
    Login(commands::login::LoginArgs),
    /// Forget a login
    Logout,
    /// Who you are for a service, what you are signed in with, and what you may do
    Whoami(commands::whoami::WhoamiArgs),
    /// Services, and how to sign in there, under a name
    #[command(subcommand)]
    Profiles(commands::profiles::ProfilesCommand),
    /// Apps that you have a role on
    #[command(subcommand)]
    Apps(commands::apps::AppsCommand),
    /// Countries that an app is available in
    #[command(subcommand)]
    Countries(commands::countries::CountriesCommand),
    /// Users and applications that have roles on an app
    #[command(subcommand)]
    Principals(commands::principals::PrincipalsCommand),
    /// Uploaded versions of an app
    #[command(subcommand)]
    Versions(commands::versions::VersionsCommand),
    /// Publish packages in all their countries, offer them, and bring them to customers' environments
    Release(commands::release::ReleaseArgs),
    /// Customers' environments that have an app installed
    #[command(subcommand)]
    Environments(commands::environments::EnvironmentsCommand),
    /// Your own words on customers' environments, to choose them by
    #[command(subcommand)]
    Tags(commands::tags::TagsCommand),
    /// Hotfixes: versions pushed to customers' environments
    #[command(subcommand)]
    Hotfixes(commands::hotfixes::HotfixesCommand),
    /// When nothing of an app starts in customers' environments
    #[command(subcommand)]
    Freezes(commands::freezes::FreezesCommand),
    /// One decision for many environments: in waves, watched, with a brake
    #[command(subcommand)]
    Rollout(commands::rollout::RolloutCommand),
    /// Which versions each country has, what is missing, and whether it is the same content everywhere
    Matrix(commands::matrix::MatrixArgs),
    /// Which version each environment has
    Fleet(commands::fleet::FleetArgs),
    /// What happens to an app, as it happens
    Events(commands::events::EventsArgs),
    /// Pipelines whose runs may act for an app
    #[command(subcommand)]
    Publishers(commands::publishers::PublishersCommand),
    /// Whoever is told of what happens
    #[command(subcommand)]
    Webhooks(commands::webhooks::WebhooksCommand),
    /// The operator API of a self-hosted service
    #[command(subcommand)]
    Operator(commands::operator::OperatorCommand),
    /// Package files (.app)
    #[command(subcommand)]
    Package(commands::package::PackageCommand),
    /// Pass requests on to a service and write down what it answers, without secrets, ids and names
    Record(commands::record::RecordArgs),
    /// Ask a service what was recorded of another, and say what it answers otherwise
    Replay(commands::replay::ReplayArgs),
    /// The agent, which serves environments of your own
    #[command(subcommand, args(GlobalArgs::of_no_use_to_agents()))]
    Agent(commands::agent::AgentCommand),
    /// Run the service
    Serve(commands::serve::ServeArgs),
    /// Write everything that a service holds to a folder, as a backup or for a move
    Export(commands::export::ExportArgs),
    /// Fill an empty database and storage locations from an export
    Import(commands::import::ImportArgs),
    /// Bring the service's database up to date
    Migrate(commands::migrate::MigrateArgs),
    /// Keys under which the service keeps secrets
    #[command(subcommand)]
    Secrets(commands::secrets::SecretsCommand),
    /// Settings of the service
    #[command(subcommand)]
    Config(commands::config::ConfigCommand),
    /// Print the OpenAPI document of the service
    Openapi,
    /// Run a service with sample data on this machine, to try things out
    Dev(DevArgs),
    /// Print a completion script for a shell
    Completions(commands::completions::CompletionsArgs),
    /// Write manual pages for all commands to a folder
    Man(commands::man::ManArgs),
    /// List the exit codes
    #[command(long_about = Exit::table())]
    ExitCodes,
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_tree_of_commands_is_sound() {
        Cli::command().debug_assert();
    }

    /// A flag that is found under another's name would be read as another's type.
    #[test]
    fn no_flag_of_a_command_hides_one_that_holds_for_all() {
        fn check(command: &clap::Command, global: &[String]) {
            for subcommand in command.get_subcommands() {
                for arg in subcommand.get_arguments() {
                    let is_the_same = arg.is_global_set();
                    let hides = global.contains(&arg.get_id().to_string()) && !is_the_same;
                    assert!(!hides, "{} of {}", arg.get_id(), subcommand.get_name());
                }
                check(subcommand, global);
            }
        }
        let cli = Cli::command();
        let global: Vec<String> = cli.get_arguments().map(|arg| arg.get_id().to_string()).collect();
        check(&cli, &global);
    }
}

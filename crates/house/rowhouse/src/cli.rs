//! The command line.

use crate::commands::hook::HookCommand;
use crate::commands::keys::KeysArgs;
use crate::commands::s3_keys::S3KeyCommand;
use crate::commands::storage::StorageCommand;
use crate::commands::users::UsersCommand;
use crate::files::FilesArgs;
use crate::machinery::ScannerArgs;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where a platform keeps its data unless told otherwise.
pub const DEFAULT_DATA: &str = "/var/lib/rowhouse";
/// Where `start` keeps its data, in the working directory.
pub const LOCAL_DATA: &str = ".rowhouse";

/// Complete app backends, compatible with Supabase, in one process.
#[derive(Debug, Parser)]
#[command(name = "rowhouse", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// Which log lines to write to standard error, e.g. `warn`, `info`, `info,access=off`, `rest=debug`
    #[arg(long, global = true, env = "ROWHOUSE_LOG", value_name = "FILTER")]
    pub log: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the local stack of a folder: one project with the well-known local keys
    Start(StartArgs),
    /// Stop the running `start` or `serve` of a folder
    Stop(PlaceArgs),
    /// Show addresses and keys of the running `start` of a folder
    Status(StatusArgs),
    /// Work on the local database
    #[command(subcommand)]
    Db(DbCommand),
    /// Run the platform: many projects, pooled and dedicated
    Serve(ServeArgs),
    /// Create, list and delete projects of a platform
    #[command(subcommand)]
    Projects(ProjectsCommand),
    /// Tables of pooled projects, from a JSON model
    #[command(subcommand)]
    Entities(EntitiesCommand),
    /// Files of projects
    #[command(subcommand)]
    Storage(StorageCommand),
    /// Serve the data API alone, in place of PostgREST, with its configuration file and PGRST_* variables
    Rest(RestArgs),
    /// Look for what is wrong with this machine, and say how to mend it
    Doctor(DoctorArgs),
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For reading
    #[value(alias = "pretty")]
    Table,
    /// One JSON document
    Json,
    /// Lines NAME="value"
    Env,
}

#[derive(Debug, Args)]
pub struct StartArgs {
    /// The folder of the app, with `supabase/config.toml`, `supabase/migrations` and `supabase/seed.sql` if it has them
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub workdir: PathBuf,
    /// The port of the HTTP API [default: `[api] port` of config.toml, or 54321]
    #[arg(long, value_name = "PORT")]
    pub api_port: Option<u16>,
    /// The port for PostgreSQL clients [default: `[db] port` of config.toml, or 54322]
    #[arg(long, value_name = "PORT")]
    pub db_port: Option<u16>,
    /// The port of the mail catcher, on this machine only [default: `[inbucket] port` of config.toml, or 54324]
    #[arg(long, value_name = "PORT")]
    pub mail_port: Option<u16>,
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub host: std::net::IpAddr,
    /// How to print addresses and keys once everything is ready
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Return once everything is ready, and leave it running
    #[arg(long)]
    pub detach: bool,
    #[command(flatten)]
    pub files: FilesArgs,
    #[command(flatten)]
    pub scanner: ScannerArgs,
    #[command(flatten)]
    pub postgres: PostgresArgs,
}

/// Which PostgreSQL to use.
#[derive(Debug, Args, Clone)]
pub struct PostgresArgs {
    /// The directory of PostgreSQL's programs [default: looked for in PATH and the usual places]
    #[arg(long, value_name = "DIR", env = "ROWHOUSE_PG_BIN")]
    pub pg_bin: Option<PathBuf>,
    /// Use this server, as a superuser, instead of running one
    #[arg(long, value_name = "URL", env = "ROWHOUSE_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
}

/// Which running program is meant.
#[derive(Debug, Args, Clone)]
pub struct PlaceArgs {
    /// The folder given to `start`
    #[arg(long, value_name = "DIR", default_value = ".", conflicts_with = "data")]
    pub workdir: PathBuf,
    /// The data directory given to `serve`
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

impl PlaceArgs {
    pub fn data_dir(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(|| self.workdir.join(LOCAL_DATA))
    }
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    pub place: PlaceArgs,
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

#[derive(Debug, Subcommand)]
pub enum DbCommand {
    /// Empty the local database, then apply all migrations and the seed
    Reset(ResetArgs),
}

#[derive(Debug, Args)]
pub struct ResetArgs {
    /// The folder given to `start`
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub workdir: PathBuf,
    #[command(flatten)]
    pub postgres: PostgresArgs,
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The directory that holds everything
    #[arg(long, value_name = "DIR", env = "ROWHOUSE_DATA", default_value = DEFAULT_DATA)]
    pub data: PathBuf,
    /// The address of the HTTP API, with its port
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8000", env = "ROWHOUSE_LISTEN")]
    pub listen: SocketAddr,
    /// The port of the HTTP API, on the address of --listen
    #[arg(long, value_name = "PORT")]
    pub api_port: Option<u16>,
    /// The ports for PostgreSQL clients, on the address of --listen
    #[arg(long, value_name = "PORT", default_values_t = [5432, 6543], value_delimiter = ',')]
    pub db_port: Vec<u16>,
    /// The certificate for PostgreSQL clients, PEM [default: one of our own making]
    #[arg(long, value_name = "FILE", requires = "db_tls_key")]
    pub db_tls_cert: Option<PathBuf>,
    /// The key of that certificate, PEM
    #[arg(long, value_name = "FILE", requires = "db_tls_cert")]
    pub db_tls_key: Option<PathBuf>,
    /// The domain below which `<ref>.` names a project; may be given several times
    #[arg(long, value_name = "DOMAIN", value_delimiter = ',', env = "ROWHOUSE_BASE_DOMAIN")]
    pub base_domain: Vec<String>,
    /// The address under which clients reach this server [default: http:// and the address listened on]
    #[arg(long, value_name = "URL", env = "ROWHOUSE_PUBLIC_URL")]
    pub public_url: Option<String>,
    /// Believe what the proxy in front says in X-Forwarded-* and Forwarded; without it all clients behind that proxy
    /// count as one, and the rest of it is removed
    #[arg(long)]
    pub trust_forwarded: bool,
    /// Let hooks, providers and senders of projects lie in this machine's own networks; without it only on the
    /// public internet
    #[arg(long)]
    pub outbound_anywhere: bool,
    /// How many pooled projects a new shard takes
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000)]
    pub shard_capacity: u32,
    /// Put servers of dedicated projects to sleep after this many idle seconds; 0: never
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub idle_sleep: u64,
    /// How much memory the schema caches of all projects may take; those unused longest are dropped and read again
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    pub schema_cache: u32,
    /// End sessions of PostgreSQL clients that are idle for this many seconds, so that their server can sleep; 0: never
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    pub db_idle: u64,
    #[command(flatten)]
    pub files: FilesArgs,
    #[command(flatten)]
    pub scanner: ScannerArgs,
    #[command(flatten)]
    pub postgres: PostgresArgs,
}

/// Where the platform is, for commands that work whether or not it runs.
#[derive(Debug, Args, Clone)]
pub struct PlatformArgs {
    /// The data directory of the platform [default: ./.rowhouse if it exists, or /var/lib/rowhouse]
    #[arg(long, value_name = "DIR", env = "ROWHOUSE_DATA")]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    pub postgres: PostgresArgs,
}

impl PlatformArgs {
    pub fn data_dir(&self) -> PathBuf {
        let local = || Some(PathBuf::from(LOCAL_DATA)).filter(|dir| dir.is_dir());
        self.data.clone().or_else(local).unwrap_or_else(|| PathBuf::from(DEFAULT_DATA))
    }
}

#[derive(Debug, Subcommand)]
pub enum ProjectsCommand {
    /// Create a project
    Create {
        /// Its name
        name: String,
        /// A schema in a shared database, or a PostgreSQL server of its own
        #[arg(long, default_value = "pooled", value_name = "pooled|dedicated")]
        tenancy: model::Tenancy,
        #[arg(short, long, value_enum, default_value_t = Output::Table)]
        output: Output,
        #[command(flatten)]
        platform: PlatformArgs,
    },
    /// List all projects
    List {
        #[arg(short, long, value_enum, default_value_t = Output::Table)]
        output: Output,
        #[command(flatten)]
        platform: PlatformArgs,
    },
    /// Show one project
    Show(ProjectArgs),
    /// Show what a project holds, and what it used on the last days
    Usage {
        /// Its ref or slug
        project: String,
        #[arg(long, default_value_t = 31)]
        days: u32,
        #[arg(short, long, value_enum, default_value_t = Output::Table)]
        output: Output,
        #[command(flatten)]
        platform: PlatformArgs,
    },
    /// Delete a project with all its data
    Delete {
        /// Its ref or slug
        project: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        platform: PlatformArgs,
    },
    /// Bring users with their password hashes along, or take them out
    #[command(subcommand)]
    Users(UsersCommand),
    /// Show the keys of a project, or work on those that sign its tokens
    Keys(KeysArgs),
    /// Keys whose requests run under fixed settings and claims
    #[command(subcommand)]
    ApiKeys(ApiKeyCommand),
    /// Access keys of the S3 protocol
    #[command(subcommand)]
    S3Keys(S3KeyCommand),
    /// Show and change the settings of a project while it runs
    #[command(subcommand)]
    Settings(SettingsCommand),
    /// Try the hooks of auth
    #[command(subcommand)]
    Hook(HookCommand),
    /// Print what a front end needs in its `.env` file
    Env {
        /// Its ref or slug
        project: String,
        /// The names of the variables: those of Vite, of Next.js, or plain ones
        #[arg(long, value_enum, default_value_t = EnvFormat::Plain)]
        format: EnvFormat,
        /// Write to this file instead of standard output
        #[arg(long, value_name = "FILE")]
        write: Option<PathBuf>,
        #[command(flatten)]
        platform: PlatformArgs,
    },
}

#[derive(Debug, Subcommand)]
pub enum ApiKeyCommand {
    /// Make a key
    Create {
        /// The project's ref or slug
        project: String,
        /// Its name
        name: String,
        /// A key for servers, with the role service_role [default: one for browsers, with the role anon]
        #[arg(long)]
        secret: bool,
        /// A setting of every request with the key, such as app.tenant_id=acme; may be given several times
        #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair)]
        settings: Vec<(String, String)>,
        /// A claim that wins over the token's; the value is JSON, or a text; may be given several times
        #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = pair)]
        claims: Vec<(String, String)>,
        #[arg(short, long, value_enum, default_value_t = Output::Table)]
        output: Output,
        #[command(flatten)]
        platform: PlatformArgs,
    },
    /// List all keys of a project, without the keys themselves
    List(ProjectArgs),
    /// Delete a key: requests with it are refused from now on
    Delete {
        /// The project's ref or slug
        project: String,
        /// The key's name or id
        key: String,
        #[command(flatten)]
        platform: PlatformArgs,
    },
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[derive(Debug, Args)]
pub struct ProjectArgs {
    /// Its ref or slug
    pub project: String,
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    #[command(flatten)]
    pub platform: PlatformArgs,
}

#[derive(Debug, Subcommand)]
pub enum SettingsCommand {
    /// Show what is set; everything else has its default, and secrets are hidden
    Get(SettingsArgs),
    /// Set some, under their names in config.toml: `auth.site_url=https://app.dev auth.sms.max_frequency=30s`
    Set {
        #[command(flatten)]
        of: SettingsArgs,
        #[arg(value_name = "NAME=VALUE", required_unless_present = "file")]
        settings: Vec<String>,
        /// Take settings from this file, in the form of config.toml; `-` is standard input
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Give some back their defaults
    Unset {
        #[command(flatten)]
        of: SettingsArgs,
        #[arg(value_name = "NAME", required = true)]
        settings: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub struct SettingsArgs {
    /// The project's ref or slug
    pub project: String,
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    #[command(flatten)]
    pub platform: PlatformArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EnvFormat {
    Vite,
    Next,
    Plain,
}

#[derive(Debug, Subcommand)]
pub enum EntitiesCommand {
    /// Bring the tables of a pooled project to a model
    Apply {
        /// The model, JSON; `-` reads standard input
        file: PathBuf,
        /// The project's ref or slug
        #[arg(long, value_name = "REF")]
        project: String,
        /// Also do what loses data: drop tables and columns, narrow types
        #[arg(long)]
        allow_destructive: bool,
        #[arg(short, long, value_enum, default_value_t = Output::Table)]
        output: Output,
        #[command(flatten)]
        platform: PlatformArgs,
    },
}

#[derive(Debug, Args)]
pub struct RestArgs {
    /// PostgREST's configuration file; PGRST_* variables win over it
    pub config: Option<PathBuf>,
    /// Print all settings with their values, and end
    #[arg(long)]
    pub dump_config: bool,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub postgres: PostgresArgs,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn usual_lines_parse() {
        for line in [
            "start",
            "start --workdir x --api-port 1 --db-port 2 -o json --detach",
            "start --output pretty",
            "serve --data d --api-port 1 --db-port 2 --db-port 3 --base-domain a.test,b.test",
            "projects create name --tenancy dedicated -o json --data d",
            "projects api-keys create ref web --set app.tenant_id=a=b --claim plan=free --secret",
            "projects api-keys delete ref web",
            "projects env ref --format vite --write .env",
            "projects keys ref -o json --data d",
            "projects keys list ref -o json --data d",
            "projects users import ref users.ndjson --data d",
            "projects users export ref",
            "projects keys create ref --algorithm EdDSA",
            "projects keys create ref --import key.json",
            "projects keys revoke ref kid --yes",
            "entities apply f.json --project ref --allow-destructive",
            "storage import ref --from /var/lib/storage --tenant stub --jobs 4 --check --data d",
            "storage import ref --from s3://bucket/prefix --create-rows --from-access-key k --from-secret-file f",
            "storage import ref --from tree --plain --create-rows --take-differing -o json",
            "db reset --workdir x",
            "status -o env",
            "rest config.conf",
        ] {
            let parsed = Cli::try_parse_from(std::iter::once("rowhouse").chain(line.split(' ')));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
        assert!(Cli::try_parse_from(["rowhouse", "projects", "create", "n", "--tenancy", "shared"]).is_err());
    }
}

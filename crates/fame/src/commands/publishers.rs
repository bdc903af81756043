//! `fame publishers`: which runs of pipelines may act for an app without a secret.

use crate::{
    args::{AppArg, Country, IfMatch, QueryArgs, each},
    exit::Exit,
    failure::Failure,
    output::Column,
    session::Session,
};
use clap::{Args, Subcommand};
use domain::{
    publisher::{Provider, PublisherState, Right},
    version::Availability,
};
use uuid::Uuid;
use wire::publishers::{TrustedPublisher, TrustedPublisherBody};

/// `fame publishers …`
#[derive(Subcommand, Debug)]
pub(crate) enum PublishersCommand {
    /// List the pipelines that an app trusts
    List {
        #[command(flatten)]
        app: AppArg,
        #[command(flatten)]
        query: QueryArgs,
    },
    /// Show one of them
    Get(OneArgs),
    /// Trust a pipeline: its runs may upload Preview versions, and what is said here besides
    Add(Box<AddArgs>),
    /// Say that the ids that a first run was locked to are those of your repository
    Confirm {
        #[command(flatten)]
        one: OneArgs,
        /// The id of the repository, as "fame publishers get" shows it and its host says
        #[arg(long, value_name = "ID")]
        repository_id: String,
        /// The id of its owner
        #[arg(long, value_name = "ID")]
        owner_id: String,
    },
    /// List the tokens that open an app and have not ended
    Tokens {
        #[command(flatten)]
        app: AppArg,
        #[command(flatten)]
        query: QueryArgs,
    },
    /// End one of these tokens now
    Revoke {
        #[command(flatten)]
        app: AppArg,
        /// Its id, as "fame publishers tokens" shows it
        token: Uuid,
    },
    /// Trust a pipeline no more; whatever its runs were given ends at once
    Remove {
        #[command(flatten)]
        one: OneArgs,
        #[command(flatten)]
        condition: IfMatch,
    },
}

/// Which publisher.
#[derive(Args, Debug)]
pub(crate) struct OneArgs {
    #[command(flatten)]
    app: AppArg,
    /// The publisher, by its id
    #[arg(value_parser = publisher)]
    publisher: Uuid,
}

/// Reads the id of a publisher.
fn publisher(text: &str) -> Result<Uuid, String> {
    let read = text.trim().parse();
    read.map_err(|_| {
        "a trusted publisher is named by its id, a GUID that \"fame publishers list\" shows".to_owned()
    })
}

/// `fame publishers add`
#[derive(Args, Debug)]
pub(crate) struct AddArgs {
    #[command(flatten)]
    app: AppArg,
    /// OWNER/NAME; of Azure DevOps ORGANIZATION/PROJECT
    #[arg(long, value_name = "OWNER/NAME")]
    repository: String,
    /// The whole path of the workflow's file; of Azure DevOps the pipeline's id
    #[arg(long, value_name = "PATH")]
    workflow: String,
    /// The branch or tag that a run is of, such as refs/heads/main or 'refs/tags/v*'
    #[arg(long = "ref", value_name = "PATTERN", required_unless_present = "deployment")]
    ref_pattern: Option<String>,
    /// The deployment environment that its job has
    #[arg(long = "environment", value_name = "NAME")]
    deployment: Option<String>,
    /// The reusable workflow that its job is in, OWNER/NAME/PATH
    #[arg(long, value_name = "PATH")]
    job_workflow: Option<String>,
    /// The id of the repository ("gh api repos/OWNER/NAME --jq .id" tells it, and so does "fame whoami --show-claims" in a run);
    /// without ids, those of the first run are locked, and you confirm them
    #[arg(long, value_name = "ID", requires = "owner_id")]
    repository_id: Option<String>,
    /// The id of its owner ("gh api repos/OWNER/NAME --jq .owner.id")
    #[arg(long, value_name = "ID", requires = "repository_id")]
    owner_id: Option<String>,
    /// GitHub, AzureDevOps, or Custom for another issuer with the claims of GitHub's
    #[arg(long, default_value = "GitHub")]
    provider: Provider,
    /// Who issues its tokens, where the operator has enabled several
    #[arg(long, value_name = "URL")]
    issued_by: Option<String>,
    /// What it may: upload, availability, hotfix:sandbox, hotfix:production; upload when left out
    #[arg(long = "may", value_name = "WHAT", value_delimiter = ',')]
    may: Vec<Right>,
    /// The highest availability that it may give a version
    #[arg(long, value_name = "AVAILABILITY")]
    max_availability: Option<Availability>,
    /// The country that it is confined to, such as US; repeat it for several, leave it out for all
    #[arg(
        long = "country",
        visible_alias = "countries",
        short,
        value_name = "CODE",
        value_delimiter = ','
    )]
    countries: Vec<Country>,
    /// An event that may begin a run; push, release, workflow_dispatch and schedule when left out
    #[arg(long = "event", value_name = "EVENT", value_delimiter = ',')]
    events: Vec<String>,
    /// Runs are on machines of your own
    #[arg(long)]
    self_hosted: bool,
    /// How long its tokens are good, in seconds
    #[arg(long, value_name = "SECONDS")]
    lifetime: Option<u32>,
}

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("PROVIDER", "provider"),
    ("REPOSITORY", "repository"),
    ("WORKFLOW", "workflow"),
    ("REF", "refPattern"),
    ("ENVIRONMENT", "environment"),
    ("MAY", "may"),
    ("HIGHEST", "maxAvailability"),
    ("STATE", "state"),
    ("USED", "usedOn"),
];

const TOKEN_COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("KIND", "kind"),
    ("LAST FOUR", "lastFour"),
    ("PUBLISHER", "publisherId"),
    ("REPOSITORY", "repository"),
    ("RUN", "run"),
    ("GIVEN", "createdOn"),
    ("ENDS", "expiresOn"),
    ("USED", "usedOn"),
];

impl PublishersCommand {
    /// Runs the command.
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let client = &session.client;
        match self {
            Self::List { app, query } => {
                let app = session.app(&app).await?;
                session
                    .print_list(client.list_trusted_publishers(app), query, COLUMNS)
                    .await?;
            }
            Self::Get(OneArgs { app, publisher }) => {
                let app = session.app(&app).await?;
                session
                    .print_one(client.get_trusted_publisher(app, publisher))
                    .await?;
            }
            Self::Add(args) => {
                let app = session.app(&args.app).await?;
                let request = client.put_trusted_publisher(app, Uuid::new_v4(), &args.body());
                session.print_one(request).await?;
                if args.repository_id.is_none() {
                    session.printer.note(
                        "Without ids it waits for seven days for its first run, and may upload Preview versions alone until \
                         you confirm whose run that was: fame publishers confirm.",
                    );
                }
            }
            Self::Confirm {
                one: OneArgs { app, publisher },
                repository_id,
                owner_id,
            } => {
                let app = session.app(&app).await?;
                let found = client.get_trusted_publisher(app, publisher).await?;
                let etag = found.etag.to_string();
                let body = TrustedPublisherBody {
                    repository_id: Some(repository_id),
                    owner_id: Some(owner_id),
                    confirmed: Some(true),
                    ..as_it_is(found)
                };
                // Whoever changed it meanwhile may have meant another.
                let request = client
                    .put_trusted_publisher(app, publisher, &body)
                    .if_match(Some(etag.as_str()));
                session.print_one(request).await?;
            }
            Self::Tokens { app, query } => {
                let app = session.app(&app).await?;
                session
                    .print_list(client.list_tokens(app), query, TOKEN_COLUMNS)
                    .await?;
            }
            Self::Revoke { app, token } => {
                let app = session.app(&app).await?;
                client.revoke_token(app, token).json().await?;
                session.printer.note(format!("Ended token {token}."));
            }
            Self::Remove { one, condition } => {
                let app = session.app(&one.app).await?;
                let request = client.delete_trusted_publisher(app, one.publisher);
                request.if_match(condition.if_match.as_deref()).json().await?;
                session
                    .printer
                    .note(format!("Removed trusted publisher {}.", one.publisher));
            }
        }
        Ok(Exit::Done)
    }
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

impl AddArgs {
    fn body(&self) -> TrustedPublisherBody {
        TrustedPublisherBody {
            provider: self.provider.to_string(),
            issuer: self.issued_by.clone(),
            repository: self.repository.clone(),
            repository_id: self.repository_id.clone(),
            owner_id: self.owner_id.clone(),
            workflow: self.workflow.clone(),
            job_workflow: self.job_workflow.clone(),
            environment: self.deployment.clone(),
            ref_pattern: self.ref_pattern.clone(),
            events: some(self.events.clone()),
            runner_environment: self
                .self_hosted
                .then(|| domain::publisher::SELF_HOSTED.to_owned()),
            may: some(self.may.iter().map(Right::to_string).collect()),
            max_availability: self.max_availability.map(|availability| availability.to_string()),
            countries: some(
                each(&self.countries)
                    .into_iter()
                    .map(|country| country.0.clone())
                    .collect(),
            ),
            lifetime_seconds: self.lifetime,
            confirmed: None,
        }
    }
}

/// What says of a publisher what is said of it already.
fn as_it_is(found: TrustedPublisher) -> TrustedPublisherBody {
    let has_ids = found.state != PublisherState::Pending;
    TrustedPublisherBody {
        provider: found.provider.to_string(),
        issuer: Some(found.issuer),
        repository: found.repository,
        repository_id: found.repository_id.filter(|_| has_ids),
        owner_id: found.owner_id.filter(|_| has_ids),
        workflow: found.workflow,
        job_workflow: found.job_workflow,
        environment: found.environment,
        ref_pattern: found.ref_pattern,
        events: Some(found.events),
        runner_environment: Some(found.runner_environment),
        may: Some(found.may),
        max_availability: Some(found.max_availability.to_string()),
        countries: some(found.countries),
        lifetime_seconds: Some(found.lifetime_seconds),
        confirmed: None,
    }
}

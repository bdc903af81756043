//! `fame serve`: the service itself.

use super::config::{ConfigArgs, errors_in, summary};
use crate::{exit::Exit, failure::Failure, output::Printer};
use clap::Args;
use domain::chain::Chain;
use server::StartError;

/// `fame serve`
#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Address and port to accept requests on, such as 127.0.0.1:8080
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

impl ServeArgs {
    /// Runs the service until it is asked to stop.
    ///
    /// # Errors
    /// [`Failure::Usage`] when the settings will not do, [`Failure::Rule`] when another process uses what is its own,
    /// [`Failure::Unexpected`] when the service cannot start.
    pub(crate) async fn run(self, printer: Printer) -> Result<Exit, Failure> {
        let loaded = self.config.with("server.listen", self.listen).load(printer)?;
        let problems = loaded.check_production();
        if errors_in(&problems) > 0 {
            return Err(summary(printer, &problems));
        }
        server::telemetry::init_logging(&loaded.settings.log)
            .map_err(|error| Failure::Unexpected(error.to_string()))?;
        let stop = stop_signal()?;
        server::run(loaded, stop)
            .await
            .map_err(|error| unable("The service cannot run", &error))?;
        Ok(Exit::Done)
    }
}

/// Why a service does not start, or its database is not opened, as the exit codes know it.
pub(super) fn unable(what: &str, error: &StartError) -> Failure {
    let text = format!("{what}: {}.", Chain(error));
    match error {
        StartError::InUse(_) => Failure::Rule(text),
        StartError::Listen { .. } => Failure::Unexpected(format!(
            "{text} --listen (server.listen) names another address; metrics have metrics.listen."
        )),
        _ => Failure::Unexpected(text),
    }
}

/// Ends when the process is asked to stop: by a person (Ctrl-C) or by whatever supervises it (SIGTERM).
///
/// # Errors
/// [`Failure::Io`] when signals cannot be listened for.
#[cfg(unix)]
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).map_err(deaf)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(deaf)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(unix)]
fn deaf(source: std::io::Error) -> Failure {
    let what = "Cannot listen for signals".to_owned();
    Failure::Io { what, source }
}

/// Ends when a person asks the process to stop (Ctrl-C).
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    Ok(async {
        // Without a way to be told, the service runs until it is ended from outside.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

//! How each kind of target is spoken to.
//!
//! A driver's settings are its module's own. To add one: its module, its name, and its two lines below.

pub mod admincenter;
pub mod automation;
pub mod devendpoint;
pub mod exec;
pub mod simulate;
mod watch;

use crate::{clock::SharedClock, driver::Driver, failure::Failure};
use domain::environment::EnvironmentKind;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use toml::Table;
use wire::agent::EnvironmentName;

/// Which driver, and what it is told of its target.
#[derive(Clone, Debug)]
pub enum DriverSettings {
    /// The Admin Center API of Business Central online.
    AdminCenter(Box<admincenter::Settings>),
    /// The Automation API of Business Central online.
    Automation(Box<automation::Settings>),
    /// A server's development endpoint.
    DevEndpoint(Box<devendpoint::Settings>),
    /// Commands of the operator's.
    Exec(Box<exec::Settings>),
    /// Nothing real.
    Simulate(simulate::Settings),
}

/// What drivers may need of the process that they live in.
#[derive(Clone)]
pub struct Surroundings {
    /// What time it is.
    pub clock: SharedClock,
    /// What simulated environments have installed.
    pub simulated: simulate::World,
}

impl DriverSettings {
    /// What each is called in a configuration; its settings stand in a table of that name.
    pub const NAMES: &'static [&'static str] =
        &["admincenter", "automation", "devendpoint", "exec", "simulate"];

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::AdminCenter(_) => "admincenter",
            Self::Automation(_) => "automation",
            Self::DevEndpoint(_) => "devendpoint",
            Self::Exec(_) => "exec",
            Self::Simulate(_) => "simulate",
        }
    }

    /// Reads the settings of the driver of that name.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(name: &str, table: Table) -> Result<Self, String> {
        match name {
            "admincenter" => settings(table).map(Box::new).map(Self::AdminCenter),
            "automation" => settings(table).map(Box::new).map(Self::Automation),
            "devendpoint" => settings(table).map(Box::new).map(Self::DevEndpoint),
            "exec" => settings(table).map(Box::new).map(Self::Exec),
            "simulate" => settings(table).map(Self::Simulate),
            _ => Err(format!("is no driver; there are {}", Self::NAMES.join(", "))),
        }
    }

    /// The driver for this environment.
    ///
    /// # Errors
    /// A [`Failure`] when it cannot work as it is set up.
    pub fn open(
        &self,
        name: &EnvironmentName,
        kind: EnvironmentKind,
        around: &Surroundings,
    ) -> Result<Arc<dyn Driver>, Failure> {
        let key = name.key();
        let name = name.clone();
        match self {
            Self::AdminCenter(settings) => Ok(Arc::new(admincenter::AdminCenter::new(
                (**settings).clone(),
                name,
            )?)),
            Self::Automation(settings) => {
                Ok(Arc::new(automation::Automation::new((**settings).clone(), name)?))
            }
            Self::DevEndpoint(settings) => Ok(Arc::new(devendpoint::DevEndpoint::new(
                (**settings).clone(),
                &name,
                kind,
            )?)),
            Self::Exec(settings) => Ok(Arc::new(exec::Exec::new((**settings).clone(), name))),
            Self::Simulate(settings) => Ok(Arc::new(simulate::Simulator::new(
                settings,
                key,
                around.clock.clone(),
                around.simulated.clone(),
            ))),
        }
    }
}

fn settings<T: DeserializeOwned>(table: Table) -> Result<T, String> {
    let read = table.try_into::<T>();
    read.map_err(|error| format!("cannot be understood: {}", error.message()))
}

//! The parts of the command line that several commands share.
//!
//! Here and in the `Args` beside each command is the raw command line. It is read once: [`crate::settings`] makes
//! of the global part what the rest of the program believes in, and no flag is looked at again after that.

use crate::ci::Ci;
use crate::sign_in::Kind;
use clap::{
    Arg, Args, Command,
    builder::{PossibleValuesParser, TypedValueParser},
};
use domain::{
    country::CountryCode,
    ids::AppId,
    version::{AppVersion, Availability},
};
use std::{collections::HashSet, path::PathBuf, str::FromStr, time::Duration};

/// The original service.
pub(crate) const ORIGINAL_URL: &str = "https://apps.businesscentral.dynamics.com";

/// Flags that every command knows.
#[derive(Args, Clone, Debug)]
pub(crate) struct GlobalArgs {
    /// The profile that says which service is meant and how to sign in there (fame login makes one); left out, the one
    /// called default, unless --url says which service
    #[arg(
        long,
        global = true,
        env = "FAME_PROFILE",
        hide_env_values = true,
        value_name = "NAME",
        help_heading = "Service"
    )]
    pub profile: Option<String>,
    /// The service to talk to, Microsoft's if nothing says otherwise; plain http only on this machine
    #[arg(
        long,
        global = true,
        env = "FAME_URL",
        hide_env_values = true,
        help_heading = "Service"
    )]
    pub url: Option<String>,
    /// The version of the API to speak, v1.4 if nothing says otherwise
    #[arg(
        long,
        global = true,
        env = "FAME_API_VERSION",
        hide_env_values = true,
        value_name = "VERSION",
        help_heading = "Service"
    )]
    pub api_version: Option<String>,
    /// Certificate authorities to trust besides the system's (PEM)
    #[arg(
        long,
        global = true,
        env = "FAME_CA_FILE",
        hide_env_values = true,
        value_name = "FILE",
        help_heading = "Service"
    )]
    pub ca_file: Option<PathBuf>,
    /// How long the service may take to answer, or to make progress in a transfer
    #[arg(long, global = true, env = "FAME_REQUEST_TIMEOUT", hide_env_values = true, value_name = "DURATION", default_value = "100s", value_parser = brief, help_heading = "Service")]
    pub request_timeout: Duration,
    /// How often to try again when the service is busy or out of reach
    #[arg(
        long,
        global = true,
        env = "FAME_RETRIES",
        hide_env_values = true,
        value_name = "N",
        default_value_t = 4,
        help_heading = "Service"
    )]
    pub retries: u32,
    /// What to sign in with; left out, the first that there is, in the order of docs/SIGNING-IN.md
    #[arg(
        long,
        global = true,
        env = "FAME_CREDENTIAL",
        hide_env_values = true,
        value_name = "KIND",
        help_heading = "Sign-in"
    )]
    pub credential: Option<Kind>,
    /// File that holds an access token, read again for each request; without it, FAME_TOKEN is the token
    #[arg(
        long,
        global = true,
        env = "FAME_TOKEN_FILE",
        hide_env_values = true,
        value_name = "FILE",
        help_heading = "Sign-in"
    )]
    pub token_file: Option<PathBuf>,
    /// Microsoft Entra tenant to sign in to
    #[arg(
        long,
        global = true,
        env = "FAME_TENANT_ID",
        hide_env_values = true,
        value_name = "ID",
        help_heading = "Sign-in"
    )]
    pub tenant: Option<String>,
    /// Application to sign in as
    #[arg(
        long,
        global = true,
        env = "FAME_CLIENT_ID",
        hide_env_values = true,
        value_name = "ID",
        help_heading = "Sign-in"
    )]
    pub client_id: Option<String>,
    /// File that holds the application's secret; without it, FAME_CLIENT_SECRET is the secret
    #[arg(
        long,
        global = true,
        env = "FAME_CLIENT_SECRET_FILE",
        hide_env_values = true,
        value_name = "FILE",
        help_heading = "Sign-in"
    )]
    pub client_secret_file: Option<PathBuf>,
    /// File that holds the application's certificate and its private key (PEM)
    #[arg(
        long,
        global = true,
        env = "FAME_CLIENT_CERTIFICATE",
        hide_env_values = true,
        value_name = "FILE",
        help_heading = "Sign-in"
    )]
    pub client_certificate: Option<PathBuf>,
    /// Where tokens are issued, as an address with or without {tenant} in it; left out, Microsoft Entra where a tenant is
    /// named
    #[arg(
        long,
        global = true,
        env = "FAME_TOKEN_URL",
        hide_env_values = true,
        value_name = "URL",
        help_heading = "Sign-in"
    )]
    pub token_url: Option<String>,
    /// What the token is for, such as api://fame.contoso.com/.default; known of Microsoft's service
    #[arg(
        long,
        global = true,
        env = "FAME_SCOPE",
        hide_env_values = true,
        help_heading = "Sign-in"
    )]
    pub scope: Option<String>,
    /// Print what the service answered, as JSON; lists as one array
    #[arg(long, global = true, help_heading = "Output")]
    pub json: bool,
    /// Print no notes and no progress
    #[arg(long, short, global = true, help_heading = "Output")]
    pub quiet: bool,
    /// The pipeline to tell what became of it: github, azure or none; left out, the one that runs the command
    #[arg(
        long,
        global = true,
        value_name = "SYSTEM",
        hide_possible_values = true,
        help_heading = "Output"
    )]
    pub ci: Option<Ci>,
}

impl GlobalArgs {
    /// Those that an agent makes nothing of, as its configuration says where its service is and how it signs in there: its
    /// help does not show them.
    pub(crate) fn of_no_use_to_agents() -> Vec<Arg> {
        let all = Self::augment_args(Command::new("fame"));
        let of_a_client = |arg: &&Arg| arg.get_help_heading() != Some("Output");
        let of_a_client = all.get_arguments().filter(of_a_client);
        of_a_client.map(|arg| arg.clone().hide(true)).collect()
    }
}

/// An app as it was typed: by its id, or by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AppRef {
    Id(AppId),
    Name(String),
}

impl FromStr for AppRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = said(text)?;
        Ok(text.parse().map_or(Self::Name(name), Self::Id))
    }
}

/// An app.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct AppArg {
    /// The app: its id, or its name if no other app of yours is called so
    #[arg(value_name = "APP")]
    pub app: AppRef,
}

/// An app and countries of it.
#[derive(Args, Clone, Debug)]
pub(crate) struct AppInCountries {
    #[command(flatten)]
    pub app: AppArg,
    #[command(flatten)]
    pub countries: Countries,
}

/// Countries, each of them named.
#[derive(Args, Clone, Debug)]
pub(crate) struct Countries {
    /// The country, such as US; repeat it for several
    #[arg(
        long = "country",
        short,
        required = true,
        value_name = "CODE",
        value_delimiter = ','
    )]
    countries: Vec<Country>,
}

impl Countries {
    /// Each of them once, in the order in which they were named.
    pub(crate) fn each(&self) -> Vec<&Country> {
        each(&self.countries)
    }
}

/// Each of `countries` once, in their order.
pub(crate) fn each(countries: &[Country]) -> Vec<&Country> {
    let mut seen = HashSet::new();
    countries
        .iter()
        .filter(|country| seen.insert(&country.0))
        .collect()
}

/// An app, and countries of it or all that it has.
#[derive(Args, Clone, Debug)]
pub(crate) struct AppInAnyCountries {
    #[command(flatten)]
    pub app: AppArg,
    /// The country, such as US; repeat it for several. Left out, all that the app has
    #[arg(long = "country", short, value_name = "CODE", value_delimiter = ',')]
    pub countries: Vec<Country>,
}

/// An app in one of its countries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AppInCountry {
    /// The app.
    pub app: AppId,
    /// The country.
    pub country: Country,
}

/// To whom a version is offered, with words that a shell can complete.
pub(crate) fn availability() -> impl TypedValueParser<Value = Availability> {
    let words = Availability::ALL.iter().map(|word| word.as_str());
    PossibleValuesParser::new(words).try_map(|word| word.parse::<Availability>())
}

/// A country as it was typed; whether there is such a country is the service's to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Country(pub String);

impl FromStr for Country {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Lists are typed as "US, DK" too.
        let text = text.trim();
        let plausible = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if plausible {
            Ok(Self(text.to_ascii_uppercase()))
        } else {
            let meant = CountryCode::named(text).map(|meant| format!("; did you mean {meant}?"));
            let meant = meant.unwrap_or_default();
            Err(format!("a country is two characters, such as US{meant}"))
        }
    }
}

/// A text that says something: the variable of a script that was never set must not mean everything, or nothing.
pub(crate) fn said(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("it is empty".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

/// Which rows of a list, and in which order.
#[derive(Args, Clone, Debug, Default)]
pub struct QueryArgs {
    /// Only rows for which this holds, as OData: "type eq 'Production'"
    #[arg(long, value_name = "EXPRESSION", value_parser = said)]
    pub filter: Option<String>,
    /// Order of the rows, as OData: "name desc"
    #[arg(long, value_name = "PROPERTIES")]
    pub orderby: Option<String>,
    /// What is printed of each row, as OData: "id,status,agentName"
    #[arg(long, value_name = "PROPERTIES")]
    pub select: Option<String>,
    /// At most so many rows
    #[arg(long, value_name = "N")]
    pub top: Option<u64>,
    /// Leave out the first so many rows
    #[arg(long, value_name = "N")]
    pub skip: Option<u64>,
    /// Print only how many rows there are, whatever --top and --skip say
    #[arg(long)]
    pub count: bool,
}

impl From<QueryArgs> for client::Query {
    fn from(args: QueryArgs) -> Self {
        Self::default()
            .filter(args.filter)
            .orderby(args.orderby)
            .select(args.select)
            .top(args.top)
            .skip(args.skip)
    }
}

/// Only change the row if it is as it was.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct IfMatch {
    /// Only if the row's _etag is still this one; else nothing changes (exit code 5). Microsoft's service may take no notice
    /// of it
    #[arg(long, value_name = "ETAG")]
    pub if_match: Option<String>,
}

/// `APP=VERSION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AppAt {
    /// The app.
    pub app: AppId,
    /// The version of it.
    pub version: AppVersion,
}

impl FromStr for AppAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (app, version) = text
            .split_once('=')
            .ok_or("expected APP=VERSION, such as 63ca2fa4-4f03-4f2b-a480-172fef340d3f=27.0.0.0")?;
        Ok(Self {
            app: app.trim().parse().map_err(|error| format!("{error}"))?,
            version: version.trim().parse().map_err(|error| format!("{error}"))?,
        })
    }
}

/// The longest that anybody waits for something to come about.
const YEAR: Duration = Duration::from_hours(366 * 24);
/// The longest that something may take which usually takes seconds.
const HOUR: Duration = Duration::from_hours(1);

/// Reads `90s`, `30m`, `1h 30m`, or a bare number of seconds: a year at most.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map(Duration::from_secs).ok();
    let read = seconds.or_else(|| {
        let written = text.parse::<jiff::SignedDuration>().ok()?;
        Duration::try_from(written).ok()
    });
    match read {
        None => Err("a duration is written like 90s, 30m, 24h or 1h30m".to_owned()),
        Some(longer) if longer > YEAR => Err("it is longer than a year".to_owned()),
        Some(duration) => Ok(duration),
    }
}

/// Reads a duration that is neither nothing nor longer than an hour.
pub(crate) fn brief(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("it has to be longer than nothing".to_owned()),
        longer if longer > HOUR => Err("it is longer than an hour".to_owned()),
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(duration("90").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("30m").unwrap(), Duration::from_secs(1_800));
        assert_eq!(duration("1h30m").unwrap(), Duration::from_secs(5_400));
        assert_eq!(duration("20ms").unwrap(), Duration::from_millis(20));
        for wrong in ["", "-5s", "soon", "1 fortnight"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn nobody_waits_for_ever_or_asks_without_a_pause() {
        assert!(duration("0").is_ok() && duration("8784h").is_ok());
        for absurd in [
            "8784h1s",
            "99999999999",
            "18446744073709551615",
            "9000000000000000000s",
        ] {
            assert!(duration(absurd).is_err(), "{absurd}");
        }
        assert!(brief("1ms").is_ok() && brief("1h").is_ok());
        for absurd in ["0", "0s", "0ms", "61m", "8784h"] {
            assert!(brief(absurd).is_err(), "{absurd}");
        }
    }

    #[test]
    fn a_country_is_its_code() {
        assert_eq!("dk".parse::<Country>().unwrap().0, "DK");
        assert_eq!(" dk\t".parse::<Country>().unwrap().0, "DK");
        assert!("d k".parse::<Country>().is_err());
        let refusal = |text: &str| text.parse::<Country>().unwrap_err();
        assert!(refusal("Denmark").ends_with("did you mean DK?"));
        assert!(refusal("Nowhere").ends_with("such as US"));
    }

    #[test]
    fn an_app_and_its_version() {
        let read: AppAt = "63CA2FA4-4f03-4f2b-a480-172fef340d3f=16.0".parse().unwrap();
        assert_eq!(read.version.to_string(), "16.0.0.0");
        for wrong in ["", "=", "63ca2fa4-4f03-4f2b-a480-172fef340d3f", "x=1.0"] {
            assert!(wrong.parse::<AppAt>().is_err(), "{wrong}");
        }
    }
}

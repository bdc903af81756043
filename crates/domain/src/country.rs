//! The countries for which versions are uploaded, and the clock that each of them goes by.

use std::{fmt, str::FromStr};

/// Business Central's worldwide localisation: not a country, but used like one.
pub const WORLDWIDE: &str = "W1";

/// An ISO 3166-1 alpha-2 code in upper case, or [`WORLDWIDE`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CountryCode(&'static str);

/// The text was no country code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an ISO 3166-1 alpha-2 country code such as US or DK")]
pub struct InvalidCountry(pub String);

impl InvalidCountry {
    fn new(text: &str) -> Self {
        Self(text.chars().take(80).collect())
    }
}

impl CountryCode {
    /// Reads a code in any case; `allow_w1` says whether the worldwide localisation is one.
    ///
    /// # Errors
    /// [`InvalidCountry`] with the text, when it is none.
    pub fn parse(text: &str, allow_w1: bool) -> Result<Self, InvalidCountry> {
        let code: Self = text.parse()?;
        if code.0 == WORLDWIDE && !allow_w1 {
            return Err(InvalidCountry::new(text));
        }
        Ok(code)
    }

    /// The country that is called so in English, by its whole name, the beginning of it, or its code of three letters.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        let typed = text.trim().to_ascii_lowercase();
        let begins = |country: &&rust_iso3166::CountryCode| {
            let is_code = country.alpha3.eq_ignore_ascii_case(&typed);
            is_code || (typed.len() > 3 && country.name.to_ascii_lowercase().starts_with(&typed))
        };
        let found = rust_iso3166::ALL.iter().filter(begins);
        let shortest = found.min_by_key(|country| country.name.len())?;
        Some(Self(shortest.alpha2))
    }

    /// The code in upper case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

/// Reads a code in any case, [`WORLDWIDE`] among them.
impl FromStr for CountryCode {
    type Err = InvalidCountry;

    fn from_str(text: &str) -> Result<Self, InvalidCountry> {
        let code = text.to_ascii_uppercase();
        if code == WORLDWIDE {
            return Ok(Self(WORLDWIDE));
        }
        let country = rust_iso3166::from_alpha2(&code).ok_or_else(|| InvalidCountry::new(text))?;
        Ok(Self(country.alpha2))
    }
}

impl fmt::Display for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CountryCode({})", self.0)
    }
}

/// The Windows time-zone id of a country's environments when nobody says otherwise; `UTC` if none is known.
///
/// The pairs follow the territories of CLDR's `windowsZones`. A country that spans several zones has the one
/// in which an evening window is night, or nearly so, for most of its people: in the United States and Canada
/// that is the Central one, because 20:00 to 06:00 there touches office hours on neither coast.
#[must_use]
pub fn default_time_zone(country: CountryCode) -> &'static str {
    let row = ZONES
        .iter()
        .find(|(_, countries)| countries.split(' ').any(|code| code == country.0));
    row.map_or("UTC", |(zone, _)| zone)
}

const ZONES: &[(&str, &str)] = &[
    // Europe
    ("GMT Standard Time", "GB IE PT GG IM JE FO"),
    (
        "Greenwich Standard Time",
        "IS GH GM GN GW CI LR ML MR SH SL SN TG BF",
    ),
    (
        "W. Europe Standard Time",
        "DE AT CH NL IT NO SE LU LI MC MT SM VA AD GI SJ",
    ),
    ("Romance Standard Time", "FR BE DK ES"),
    ("Central Europe Standard Time", "CZ HU SK SI RS ME AL"),
    ("Central European Standard Time", "PL HR BA MK"),
    ("FLE Standard Time", "FI EE LV LT UA BG AX"),
    ("GTB Standard Time", "GR RO CY"),
    ("E. Europe Standard Time", "MD"),
    ("Turkey Standard Time", "TR"),
    ("Belarus Standard Time", "BY"),
    ("Russian Standard Time", "RU"),
    // North America
    ("Central Standard Time", "US"),
    // Most Canadians, though not most of Canada.
    ("Eastern Standard Time", "CA BS"),
    ("Central Standard Time (Mexico)", "MX"),
    ("Central America Standard Time", "CR GT HN NI SV BZ"),
    ("Haiti Standard Time", "HT"),
    ("Cuba Standard Time", "CU"),
    ("SA Pacific Standard Time", "CO PE EC PA JM KY"),
    (
        "SA Western Standard Time",
        "PR DO BO GY TT BB LC VC GD DM AG KN AI MS VG VI GP MQ AW CW SX BL MF BQ",
    ),
    ("Atlantic Standard Time", "BM"),
    ("Turks And Caicos Standard Time", "TC"),
    ("Greenland Standard Time", "GL"),
    ("Saint Pierre Standard Time", "PM"),
    // South America
    ("E. South America Standard Time", "BR"),
    ("Argentina Standard Time", "AR"),
    ("Pacific SA Standard Time", "CL"),
    ("Montevideo Standard Time", "UY"),
    ("Paraguay Standard Time", "PY"),
    ("Venezuela Standard Time", "VE"),
    ("SA Eastern Standard Time", "GF SR FK"),
    // Africa
    ("Morocco Standard Time", "MA EH"),
    (
        "W. Central Africa Standard Time",
        "NG DZ TN AO BJ CD CF CG CM GA GQ NE TD",
    ),
    ("South Africa Standard Time", "ZA BW BI LS MW MZ RW SZ ZM ZW"),
    ("Namibia Standard Time", "NA"),
    ("Egypt Standard Time", "EG"),
    ("Libya Standard Time", "LY"),
    ("Sudan Standard Time", "SD"),
    ("South Sudan Standard Time", "SS"),
    ("E. Africa Standard Time", "KE TZ UG ET SO DJ ER KM MG YT"),
    ("Mauritius Standard Time", "MU RE SC"),
    ("Cape Verde Standard Time", "CV"),
    ("Sao Tome Standard Time", "ST"),
    // Near and Middle East
    ("Israel Standard Time", "IL"),
    ("Jordan Standard Time", "JO"),
    ("Middle East Standard Time", "LB"),
    ("Syria Standard Time", "SY"),
    ("West Bank Standard Time", "PS"),
    ("Arab Standard Time", "SA KW QA BH YE"),
    ("Arabian Standard Time", "AE OM"),
    ("Arabic Standard Time", "IQ"),
    ("Iran Standard Time", "IR"),
    ("Caucasus Standard Time", "AM"),
    ("Azerbaijan Standard Time", "AZ"),
    ("Georgian Standard Time", "GE"),
    // Asia
    ("West Asia Standard Time", "UZ TJ TM MV"),
    ("Qyzylorda Standard Time", "KZ"),
    ("Central Asia Standard Time", "KG"),
    ("Afghanistan Standard Time", "AF"),
    ("Pakistan Standard Time", "PK"),
    ("India Standard Time", "IN"),
    ("Sri Lanka Standard Time", "LK"),
    ("Nepal Standard Time", "NP"),
    ("Bangladesh Standard Time", "BD BT"),
    ("Myanmar Standard Time", "MM CC"),
    ("SE Asia Standard Time", "TH VN ID KH LA CX"),
    ("Singapore Standard Time", "SG MY PH BN"),
    ("China Standard Time", "CN HK MO"),
    ("Taipei Standard Time", "TW"),
    ("Ulaanbaatar Standard Time", "MN"),
    ("Korea Standard Time", "KR"),
    ("North Korea Standard Time", "KP"),
    ("Tokyo Standard Time", "JP TL PW"),
    // Pacific
    ("AUS Eastern Standard Time", "AU"),
    ("New Zealand Standard Time", "NZ"),
    ("Norfolk Standard Time", "NF"),
    ("West Pacific Standard Time", "PG GU MP"),
    ("Central Pacific Standard Time", "SB NC VU"),
    ("Fiji Standard Time", "FJ"),
    ("Tonga Standard Time", "TO"),
    ("Samoa Standard Time", "WS"),
    ("Hawaiian Standard Time", "PF CK"),
    ("UTC-11", "AS NU"),
    ("UTC+12", "TV WF MH KI NR"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use windows_timezones::WindowsTimezone;

    #[test]
    fn countries_are_known_by_their_names() {
        for (text, code) in [
            ("Denmark", "DK"),
            (" germany", "DE"),
            ("USA", "US"),
            ("United States", "US"),
            ("United Kingdom", "GB"),
        ] {
            assert_eq!(
                CountryCode::named(text).map(CountryCode::as_str),
                Some(code),
                "{text}"
            );
        }
        for unknown in ["", "D", "Den", "Atlantis"] {
            assert_eq!(CountryCode::named(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn codes_are_read_in_any_case_and_kept_upper() {
        assert_eq!(CountryCode::parse("dk", false).unwrap().as_str(), "DK");
        assert_eq!(CountryCode::parse("w1", true).unwrap().as_str(), "W1");
        assert_eq!(CountryCode::parse("dk", false).unwrap().to_string(), "DK");
    }

    #[test]
    fn what_was_written_down_is_read_back() {
        for code in ["DK", "US", WORLDWIDE] {
            let country: CountryCode = code.parse().unwrap();
            assert_eq!(country.as_str(), code);
            assert_eq!(country.to_string().parse(), Ok(country));
        }
        assert_eq!("XX".parse::<CountryCode>(), Err(InvalidCountry("XX".into())));
    }

    #[test]
    fn what_is_no_country_is_refused() {
        for text in ["", "U", "USA", "XX", "UK", " US", "ÅÅ", "W1"] {
            assert_eq!(
                CountryCode::parse(text, false).unwrap_err(),
                InvalidCountry(text.into())
            );
        }
    }

    #[test]
    fn every_zone_is_a_windows_id_and_every_code_a_country_named_once() {
        let mut seen = HashSet::new();
        for (zone, countries) in ZONES {
            assert!(zone.parse::<WindowsTimezone>().is_ok(), "{zone}");
            for code in countries.split(' ') {
                assert!(CountryCode::parse(code, false).is_ok(), "{code}");
                assert!(seen.insert(code), "{code} twice");
            }
        }
    }

    #[test]
    fn countries_have_the_clock_their_people_go_by() {
        let zone = |code: &str| default_time_zone(CountryCode::parse(code, true).unwrap());
        assert_eq!(zone("DK"), "Romance Standard Time");
        assert_eq!(zone("DE"), "W. Europe Standard Time");
        assert_eq!(zone("GB"), "GMT Standard Time");
        assert_eq!(zone("CA"), "Eastern Standard Time");
        assert_eq!(zone("US"), "Central Standard Time");
        assert_eq!(zone("AU"), "AUS Eastern Standard Time");
        assert_eq!(zone("W1"), "UTC");
        assert_eq!(zone("AQ"), "UTC");
    }
}

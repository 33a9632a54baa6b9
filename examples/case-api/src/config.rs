//! What one instance is told by its environment.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;

/// Case management service: opens cases and moves them, exactly once per command, on one PostgreSQL writer.
#[derive(Parser, Clone, Debug)]
#[command(name = "case-api", version)]
pub struct Config {
    /// Address to listen on.
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1")]
    pub listen: IpAddr,

    /// Port to listen on.
    #[arg(long, env = "PORT")]
    pub port: u16,

    /// The regional way to the writer: `host=… port=… user=… password=… dbname=…` or a postgresql:// URL.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Redacted,

    /// Region that this instance runs in.
    #[arg(long, env = "SITE", default_value = "local")]
    pub site: String,

    /// Zone that this instance runs in.
    #[arg(long, env = "ZONE", default_value = "local")]
    pub zone: String,

    /// Name of this instance, unique in its region.
    #[arg(long, env = "INSTANCE", default_value = "0")]
    pub instance: String,

    /// Secret of the service. Without it the instance lives but is never ready and takes no command.
    #[arg(long, env = "API_SECRET", hide_env_values = true)]
    pub api_secret: Option<Redacted>,

    /// Longest that a request may take, such as 2s or 500ms.
    #[arg(long, env = "REQUEST_TIMEOUT", default_value = "2s", value_parser = duration)]
    pub request_timeout: Duration,

    /// Longest that connecting to the database may take.
    #[arg(long, env = "CONNECT_TIMEOUT", default_value = "1s", value_parser = duration)]
    pub connect_timeout: Duration,

    /// Connections to the database, 1 to 100. A commit that waits keeps its connection.
    #[arg(long, env = "POOL_SIZE", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub pool_size: u16,
}

impl Config {
    pub fn has_secret(&self) -> bool {
        self.api_secret.as_ref().is_some_and(|secret| !secret.0.is_empty())
    }
}

/// Text that must not reach a log.
#[derive(Clone)]
pub struct Redacted(pub String);

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl FromStr for Redacted {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let unit = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        _ => return Err(format!("`{text}` has no unit; write it as 500ms, 2s or 1m")),
    };
    let seconds = number.trim().parse::<f64>().map_err(|_| format!("`{text}` is not a duration such as 2s"))? * unit;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(format!("`{text}` must be more than zero")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2s"), Ok(Duration::from_secs(2)));
        assert!(["2", "s", "-1s", "0s", "1h", ""].iter().all(|text| duration(text).is_err()));
    }

    #[test]
    fn a_secret_is_never_printed() {
        let args = ["case-api", "--port", "1", "--database-url", "password=hunter2", "--api-secret", "hunter2"];
        let config = Config::parse_from(args);
        assert!(config.has_secret());
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}

//! Where metrics are served, and to whom.

use std::fmt;
use std::net::SocketAddr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The port is one that no other exporter of Prometheus' list has.
const USUAL: &str = "127.0.0.1:9469";

/// Figures for Prometheus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// Where they are served.
    pub listen: MetricsListen,
    /// Whether that may be an address that others can reach.
    pub allow_remote: bool,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self {
            listen: MetricsListen(USUAL.parse().ok()),
            allow_remote: false,
        }
    }
}

/// An address with a port, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricsListen(pub Option<SocketAddr>);

impl fmt::Display for MetricsListen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(formatter),
            None => formatter.write_str("off"),
        }
    }
}

impl Serialize for MetricsListen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MetricsListen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "off" {
            return Ok(Self(None));
        }
        let wrong = |_| {
            D::Error::custom(format!(
                "{text:?} is no address with a port, such as \"{USUAL}\" or \"[::1]:9469\", and not \"off\""
            ))
        };
        text.parse().map(|address| Self(Some(address))).map_err(wrong)
    }
}

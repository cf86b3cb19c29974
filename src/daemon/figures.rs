//! Who this daemon is, and its metrics in their place: where the config says, and again when it says otherwise.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::clients::Clients;
use super::server::Reload;
use super::{load_config, DaemonOptions};
use crate::config::{Config, Loaded, Paths};
use crate::engine::Reloaded;
use crate::metrics::{catalog, Endpoint, Ledger};
use crate::protocol::DaemonInfo;

/// Serves the metrics where the config says. If that cannot be, the queue goes on without.
pub(super) fn serve_metrics(
    endpoint: &Endpoint,
    config: &Config,
    warnings: &mut Vec<String>,
) -> Option<String> {
    match endpoint.listen(config.metrics.listen.0) {
        Ok(address) => address.map(|address| {
            tracing::info!(%address, "metrics are served");
            address.to_string()
        }),
        Err(why) => {
            tracing::error!("{why}; `metrics.listen` in the config says where");
            warnings.push(why);
            None
        }
    }
}

/// The engine's ledger, in which stands already who counts.
pub(super) fn identified(mut ledger: Ledger, info: &DaemonInfo) -> Ledger {
    let (system, machine) = (std::env::consts::OS, std::env::consts::ARCH);
    ledger.set(catalog::BUILD_INFO, [&info.version, system, machine], 1.0);
    ledger.set(catalog::START, [], info.started_at_ms as f64 / 1e3);
    ledger
}

/// Reads the config again, and moves the metrics to where it says.
pub(super) fn reloader(options: DaemonOptions, endpoint: Endpoint, clients: Arc<Clients>) -> Reload {
    Arc::new(move || {
        let loaded = load_config(&options);
        clients.reloaded(loaded.is_ok());
        let Loaded {
            config, mut warnings, ..
        } = loaded?;
        let metrics = serve_metrics(&endpoint, &config, &mut warnings);
        Ok(Reloaded {
            config,
            warnings,
            metrics,
        })
    })
}

/// Who we are; where metrics are served is not known yet.
pub(super) fn info(paths: &Paths, config: Option<&Path>, warnings: Vec<String>) -> DaemonInfo {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    DaemonInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started_at_ms: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX),
        socket: paths.socket.display().to_string(),
        data: paths.data.display().to_string(),
        config: config.map(|path| path.display().to_string()),
        metrics: None,
        history: None,
        groups: None,
        warnings,
    }
}

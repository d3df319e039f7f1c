//! What every tool that talks to a cluster shares: where it is, and the runtime to talk with.

use crate::failure::{Failure, Outcome};
use crate::properties;
use std::path::{Path, PathBuf};
use strom_client::{Cluster, Settings};

pub(crate) const DEFAULT_BOOTSTRAP: &str = "127.0.0.1:9092";

#[derive(clap::Args, Debug)]
pub(crate) struct Connect {
    /// The nodes to connect to first: HOST:PORT,HOST:PORT
    #[arg(long, default_value = DEFAULT_BOOTSTRAP, value_name = "SERVERS")]
    bootstrap_server: String,
    /// Property file with client settings
    #[arg(long, value_name = "FILE")]
    command_config: Option<PathBuf>,
}

impl Connect {
    /// The settings of the file, then those given one by one.
    pub(crate) fn settings(&self, client_id: &str) -> Outcome<Settings> {
        self.settings_with(client_id, &[])
    }

    pub(crate) fn settings_with(
        &self,
        client_id: &str,
        further: &[(String, String)],
    ) -> Outcome<Settings> {
        let mut settings = Settings::from_bootstrap(&self.bootstrap_server)?;
        settings.client_id = client_id.to_owned();
        let file = match &self.command_config {
            Some(path) => properties::read(path)?,
            None => Vec::new(),
        };
        for (key, value) in file.iter().chain(further) {
            // The option names the servers, whatever the file says.
            if key != "bootstrap.servers" {
                settings.set(key, value)?;
            }
        }
        Ok(settings)
    }

    pub(crate) fn config_file(&self) -> Option<&Path> {
        self.command_config.as_deref()
    }

    pub(crate) async fn cluster(&self) -> Outcome<Cluster> {
        Ok(Cluster::connect(self.settings("admin-client")?).await?)
    }

    /// The controller at these addresses, if some are given.
    pub(crate) async fn cluster_or_controller(&self, controller: Option<&str>) -> Outcome<Cluster> {
        let Some(controller) = controller else { return self.cluster().await };
        let mut settings = self.settings("admin-client")?;
        settings.bootstrap = Settings::from_bootstrap(controller)?.bootstrap;
        Ok(Cluster::connect_to_controller(settings).await?)
    }
}

/// Runs a tool's conversation on this thread.
pub(crate) fn run(work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::said(format!("no runtime: {error}")))?.block_on(work)
}

//! `strom configs`: Kafka's kafka-configs.

mod changes;
mod describe;
mod entity;
mod entity_names;
mod quotas;

use crate::connect::{self, Connect};
use crate::failure::{Failure, Outcome};
use entity::Entity;
use entity_names::EntityNames;
use quotas::Target;
use std::io::Write;
use std::path::PathBuf;
use strom_client::Cluster;

/// Before the cluster's words, when it refuses.
const FAILED: &str = "Error while executing config command: ";

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connect: Connect,
    /// The controllers to connect to, instead of brokers: HOST:PORT,HOST:PORT
    #[arg(long, value_name = "SERVERS", conflicts_with = "bootstrap_server")]
    bootstrap_controller: Option<String>,
    /// Show configurations
    #[arg(long)]
    describe: bool,
    /// Change configurations
    #[arg(long)]
    alter: bool,
    /// When describing: also what is not dynamic
    #[arg(long)]
    all: bool,
    /// What to set: k1=v1,k2=[v1,v2]
    #[arg(long, value_name = "CONFIGS", allow_hyphen_values = true)]
    add_config: Option<String>,
    /// Property file with what to set
    #[arg(long, value_name = "FILE", conflicts_with = "add_config")]
    add_config_file: Option<PathBuf>,
    /// What to take back: k1,k2
    #[arg(long, value_name = "NAMES")]
    delete_config: Option<String>,
    #[command(flatten)]
    entity: EntityArguments,
}

#[derive(clap::Args, Debug)]
pub(crate) struct EntityArguments {
    /// topics, brokers, broker-loggers, groups, client-metrics, users, clients, ips
    #[arg(long, value_name = "TYPE")]
    entity_type: Vec<String>,
    #[command(flatten)]
    entity_name: EntityNames,
    /// The topic's name
    #[arg(long)]
    topic: Option<String>,
    /// The broker's id
    #[arg(long)]
    broker: Option<String>,
    /// The defaults of all brokers
    #[arg(long)]
    broker_defaults: bool,
    /// The broker's id, for its loggers
    #[arg(long)]
    broker_logger: Option<String>,
    /// The group's id
    #[arg(long)]
    group: Option<String>,
    /// The client metrics subscription's name
    #[arg(long)]
    client_metrics: Option<String>,
    /// A user, for quotas and credentials
    #[arg(long)]
    user: Option<String>,
    /// All users without a quota of their own
    #[arg(long)]
    user_defaults: bool,
    /// A client's id, for quotas
    #[arg(long)]
    client: Option<String>,
    /// All clients without a quota of their own
    #[arg(long)]
    client_defaults: bool,
    /// An address, for connection quotas
    #[arg(long)]
    ip: Option<String>,
    /// All addresses without a quota of their own
    #[arg(long)]
    ip_defaults: bool,
}

impl Arguments {
    async fn cluster(&self) -> Outcome<Cluster> {
        self.connect.cluster_or_controller(self.bootstrap_controller.as_deref()).await
    }
}

pub(crate) fn execute(arguments: Arguments) -> Outcome {
    if arguments.describe == arguments.alter {
        let text = "Command must include exactly one action: --describe, --alter";
        return Err(Failure::said(text));
    }
    if let Some(target) = Target::chosen(&arguments.entity)? {
        return of_quotas(&arguments, &target);
    }
    let entity = Entity::chosen(&arguments.entity)?;
    if arguments.describe {
        return connect::run(async {
            let mut cluster = arguments.cluster().await?;
            describe::perform(&mut cluster, &entity, arguments.all).await
        });
    }
    check_something_given(&arguments)?;
    let Some(name) = &entity.name else {
        let kind = entity.plural;
        return Err(Failure::said(format!(
            "An entity name must be specified with --alter of {kind}"
        )));
    };
    let changes = changes::from_options(&arguments)?;
    connect::run(async {
        let mut cluster = arguments.cluster().await?;
        cluster.alter_configs(entity.kind, name, &changes).await?;
        let mut output = std::io::stdout().lock();
        if name.is_empty() {
            let plural = entity.plural;
            writeln!(output, "Completed updating default config for {plural} in the cluster.")?;
        } else {
            let singular = entity.singular();
            writeln!(output, "Completed updating config for {singular} {name}.")?;
        }
        Ok(())
    })
    .map_err(|failure| failure.while_doing(FAILED))
}

fn of_quotas(arguments: &Arguments, target: &Target) -> Outcome {
    if arguments.describe {
        return connect::run(async { target.describe(&mut arguments.cluster().await?).await });
    }
    check_something_given(arguments)?;
    let changes = target.changes(changes::from_options(arguments)?)?;
    connect::run(async { target.alter(&mut arguments.cluster().await?, &changes).await })
}

fn check_something_given(arguments: &Arguments) -> Outcome {
    let nothing = arguments.add_config.is_none()
        && arguments.add_config_file.is_none()
        && arguments.delete_config.is_none();
    if nothing {
        return Err(Failure::said(
            "At least one of --add-config, --add-config-file, or --delete-config must be \
             specified with --alter",
        ));
    }
    Ok(())
}

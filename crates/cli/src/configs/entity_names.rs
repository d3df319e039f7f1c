//! `--entity-name` and `--entity-default`, whose order tells which type of entity each belongs to.

use clap::{Arg, ArgAction, ArgMatches, Command};

/// In the order of the command line; `""` is the default of all entities of a type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EntityNames(pub(super) Vec<String>);

const NAME: &str = "entity-name";
const DEFAULT: &str = "entity-default";

impl clap::Args for EntityNames {
    fn augment_args(command: Command) -> Command {
        let name = Arg::new(NAME).long(NAME).value_name("NAME").action(ArgAction::Append);
        let default = Arg::new(DEFAULT).long(DEFAULT).num_args(0).action(ArgAction::Append);
        command
            .arg(name.help("The topic's, user's or client's name, the broker's or group's id"))
            .arg(default.default_missing_value("").help("The default of all of that type"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for EntityNames {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Vec::new();
        for id in [NAME, DEFAULT] {
            let values = matches.get_many::<String>(id).into_iter().flatten();
            given.extend(matches.indices_of(id).into_iter().flatten().zip(values));
        }
        given.sort_unstable();
        Ok(Self(given.into_iter().map(|(_, name)| name.clone()).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

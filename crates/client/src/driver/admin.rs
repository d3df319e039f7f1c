//! What an administrator asks of a cluster, one file per subject. Answers are owned values.

pub mod configs;
pub mod groups;
pub mod offsets;
pub mod quotas;
pub mod topics;

//! The tools against a node. What is expected here was recorded from Kafka's own tools against
//! Apache Kafka 4.3.1, but for names and ids.

mod configs;
mod groups;
mod members;
mod mistakes;
mod node;
mod records;
mod tls;
mod topics;

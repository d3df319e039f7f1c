//! What the generated messages promise, checked against frames that are written by interpreting
//! the schemas, against another implementation, against vectors, and against hostile bytes.

mod allocations;
mod catalog;
mod hostile;
mod other_implementation;
mod round_trip;
mod sampler;
#[expect(dead_code, reason = "the generator needs more of it than the tests do")]
#[path = "../../build/schema.rs"]
mod schema;
mod vectors;

//! What the generated messages promise, checked against frames that are written by interpreting
//! the schemas, against another implementation, against vectors, and against hostile bytes.

mod allocations;
mod hostile;
mod other_implementation;
mod round_trip;
mod vectors;

#![forbid(unsafe_code)]

pub mod records;

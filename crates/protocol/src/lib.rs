#![forbid(unsafe_code)]

pub mod compression;
pub mod records;
